"""The problem that eqs 7–9 are measured on, and the columns of a row that hold their terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ntklab.bounds import (
    barron_bound,
    barron_moment,
    risk_gap_bound,
    root_mean_square,
    sum_bound,
    truncate_head,
)
from ntklab.experiments.approximation.config import ApproximationConfig
from ntklab.tasks import load_data
from ntklab.tasks.synthetic import synthetic_problem
from ntklab.tensor_train import plan
from ntklab.training import DenseHead, accuracy


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


def barron_columns(
    config: ApproximationConfig, problem: Problem, measured: float
) -> dict[str, Any]:
    """Eq 7 at this width, beside the error of the network that was trained."""
    bound = _barron(config, problem, measured)
    size = root_mean_square(problem.test[1].double())
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
    features, targets = problem.test[0].cpu().double(), problem.test[1].cpu()
    cut = truncate_head(first, second, features, shape)
    provable, frobenius = cut.function
    norm = cut.lower.ingredients["norm"]
    row: dict[str, Any] = {
        "tt_ranks": words(ranks),
        "bond_ranks": words(shape.bond_ranks),
        "out_dims": words(shape.out_dims),
        "params": shape.parameters,
        "effective_width": shape.effective_width(config.width),
        "relative_error": cut.lower.ingredients["relative_error"],
        "relative_error_lower": (cut.lower.value or 0.0) / norm,
        "relative_error_upper": (cut.upper.value or 0.0) / norm,
        "oseledets_holds": bool(cut.lower.holds and cut.upper.holds),
        "function_error": provable.measured,
        "function_bound": provable.value,
        "function_bound_frobenius": frobenius.value,
        "function_bound_holds": bool(provable.holds and frobenius.holds),
        "output_rms": root_mean_square((features @ first).relu() @ second),
    }
    after = (features @ cut.first).relu() @ cut.second
    if config.target == "barron":
        together = sum_bound(_barron(config, problem), provable)
        size = root_mean_square(targets.double())
        return row | {
            "target_rms": size,
            "test_error": root_mean_square(after - targets.double()),
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


def words(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))
