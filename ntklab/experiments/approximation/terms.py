"""What the terms of eqs 7–9 are measured on, and the terms: a problem, a dense head, its cut."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ntklab.bounds import (
    barron_bound,
    barron_moment,
    risk_gap_bound,
    sum_bound,
    truncation_bound,
    tt_svd_bounds,
)
from ntklab.experiments.approximation.config import ApproximationConfig
from ntklab.host_memory import refuse_beyond_memory
from ntklab.tasks import load_data
from ntklab.tasks.synthetic import synthetic_problem
from ntklab.tensor_train import plan, reconstruct, tt_svd
from ntklab.training import accuracy


@dataclass(frozen=True, eq=False)
class Problem:
    """Samples to train on and to judge by, and the second Fourier moment where it is known."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    n_outputs: int
    barron_constant: float | None = None

    @property
    def in_features(self) -> int:
        return self.train[0].shape[1]


def problem_of(config: ApproximationConfig) -> Problem:
    """The problem of a configuration.

    Raises:
        InputError: what the task refuses.

    Example:
        >>> config = ApproximationConfig(target="barron", network="dense", width=4, samples=8)
        >>> problem_of(config).in_features  # with the constant one
        9
    """
    if config.target == "barron":
        return _barron_problem(config)
    task = load_data(
        config.data,
        samples=config.samples,
        dtype=config.compute.torch_dtype,
        device=config.compute.device,
    )
    task = task.subset(config.samples, config.compute.seed)
    train_rows = task.train.features, task.train.labels
    return Problem(train_rows, (task.test.features, task.test.labels), task.n_classes)


def _barron_problem(config: ApproximationConfig) -> Problem:
    """With a constant feature, so that hidden units have the free biases that eq 7 needs."""
    made = synthetic_problem(
        features=config.features,
        samples=config.samples,
        teacher="barron",
        data_seed=config.data.seed,
    )
    assert made.barron is not None
    moment = barron_moment(made.barron.amplitudes, made.barron.frequencies, activation="relu")

    def pair(features: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        ones = features.new_ones(len(features), 1)
        return torch.cat([features, ones], dim=1).float(), scores.float()

    return Problem(
        pair(made.task.train.features, made.train_scores),
        pair(made.task.test.features, made.test_scores),
        1,
        moment,
    )


class DenseHead(nn.Module):
    """f = σ(φ V1/√d) V2/M, all entries of V1 and V2 trained from N(0, 1): W1 = V1/√d, W2 = V2/M.

    The factor 1/M is the mean-field one, under which Adam with one and the same rate moves every
    width alike (Yang and Hu 2021), so that curves over M compare widths and not learning rates.

    Args:
        in_features: d.
        out_features: C.
        width: M.
        linear: whether σ is the identity instead of ReLU.
        generator: of the start.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        width: int,
        *,
        linear: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        refuse_beyond_memory("a layer", in_features, width, itemsize=4)
        self.linear, self.width = linear, width
        self.first = nn.Parameter(torch.randn(in_features, width, generator=generator))
        self.second = nn.Parameter(torch.randn(width, out_features, generator=generator))

    def forward(self, features: Tensor) -> Tensor:
        """Outputs (N, C)."""
        hidden = features @ self.first / math.sqrt(len(self.first))
        return (hidden if self.linear else hidden.relu()) @ self.second / self.width

    def balanced(self) -> tuple[Tensor, Tensor]:
        """W1 and W2 in float64 with f = σ(φ W1) W2 and ‖W1‖_F = ‖W2‖_F: the same function.

        ε_TT depends on how a function's scale is shared between the factors (theory, eq 8); equal
        norms are the one choice that takes no side.
        """
        first = self.first.detach().cpu().double() / math.sqrt(len(self.first))
        second = self.second.detach().cpu().double() / self.width
        move = (second.norm() / first.norm()).sqrt()
        return first * move, second / move


def barron_columns(
    config: ApproximationConfig, problem: Problem, measured: float
) -> dict[str, Any]:
    """Eq 7 at this width, beside the error of the network that was trained."""
    bound = _barron(config, problem, measured)
    size = rms(problem.test[1].double())
    return {
        "barron_bound": bound.value,
        "barron_constant": problem.barron_constant,
        "barron_holds": bound.holds,
        # The zero function is a network too: a bound above ‖h‖ promises less than nothing does.
        "barron_vacuous": bound.value is None or bound.value >= size,
        "barron_reason": bound.refusal,
    }


def _barron(config: ApproximationConfig, problem: Problem, measured: float | None = None) -> Any:
    features = problem.test[0][:, :-1].double()  # without the constant, whose frequency is zero
    return barron_bound(
        width=config.width,
        constant=problem.barron_constant or 0.0,
        radius=float(features.norm(dim=1).max()),
        activation="identity" if config.network == "linear" else "relu",
        biases=True,
        measured=measured,
    )


def truncation_columns(
    config: ApproximationConfig, problem: Problem, head: DenseHead, ranks: tuple[int, ...]
) -> dict[str, Any]:
    """The dense head cut to what a TensorGuide train of these TT-ranks can hold: R_k = r_k s_k."""
    first, second = head.balanced()
    shape = plan(problem.in_features, problem.n_outputs, config.width, ranks=ranks).shape
    weights = torch.cat([first.reshape(-1), second.reshape(-1)]).reshape(shape.out_dims)
    lower, upper, _ = tt_svd_bounds(weights, shape.bond_ranks)
    norm = float(weights.norm())
    cut = reconstruct(tt_svd(weights, ranks=shape.bond_ranks).cores).reshape(-1)
    first_hat = cut[: first.numel()].reshape(first.shape)
    second_hat = cut[first.numel() :].reshape(second.shape)
    features, targets = problem.test[0].cpu().double(), problem.test[1].cpu()
    provable, frobenius = truncation_bound(first, second, first_hat, second_hat, features)
    row: dict[str, Any] = {
        "tt_ranks": words(ranks),
        "bond_ranks": words(shape.bond_ranks),
        "out_dims": words(shape.out_dims),
        "params": shape.parameters,
        "effective_width": shape.effective_width(config.width),
        "relative_error": lower.ingredients["relative_error"],
        "relative_error_lower": (lower.value or 0.0) / norm,
        "relative_error_upper": (upper.value or 0.0) / norm,
        "oseledets_holds": bool(lower.holds and upper.holds),
        "function_error": provable.measured,
        "function_bound": provable.value,
        "function_bound_frobenius": frobenius.value,
        "function_bound_holds": bool(provable.holds and frobenius.holds),
        "output_rms": rms((features @ first).relu() @ second),
    }
    after = (features @ first_hat).relu() @ second_hat
    if config.target == "barron":
        together = sum_bound(_barron(config, problem), provable)
        size = rms(targets.double())
        return row | {
            "target_rms": size,
            "test_error": rms(after - targets.double()),
            "sum_bound": together.value,
            "sum_vacuous": together.value is None or together.value >= size,
        }
    before = (features @ first).relu() @ second
    losses = [float(nn.functional.cross_entropy(f, targets)) for f in (before, after)]
    gap = risk_gap_bound(provable.value or 0.0, measured=losses[1] - losses[0])
    return row | {
        "accuracy_before": accuracy(before, targets),
        "accuracy_after": accuracy(after, targets),
        "risk_gap": gap.measured,
        "risk_gap_bound": gap.value,
    }


def rms(outputs: Tensor) -> float:
    """√((1/N) Σ ‖f(x_n)‖²)."""
    return float(outputs.square().sum(dim=1).mean().sqrt())


def words(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))
