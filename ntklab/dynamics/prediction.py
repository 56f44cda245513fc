"""`predict`: outputs on new inputs, from the kernel at the start alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.display import ShortRepr
from ntklab.dynamics.predictors import WAYS, By, Kernel, Problem, mean_loss, wrong_share
from ntklab.errors import unknown

Choose = Literal["accuracy", "loss"]


@dataclass(frozen=True, eq=False, repr=False)
class HeldOut(ShortRepr):
    """Points by which a time or a ridge is chosen.

    Attributes:
        cross: K(x, X) of these points by the training samples, shape (M·C, N·C).
        outputs: f_0 there, shape (M, C).
        targets: labels (M,), or values (M, C).
    """

    cross: Float[Tensor, "MC NC"]
    outputs: Float[Tensor, "M C"]
    targets: Shaped[Tensor, "M ..."]


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(ShortRepr):
    """Predicted outputs along a grid of times or ridges, and which of them was chosen.

    Attributes:
        by: how they were predicted.
        grid: times of gradient flow, numbers of steps, or ridges; shape (T,).
        outputs: at the new points, shape (T, M, C), float64 on the CPU.
        train_outputs: on the training samples, shape (T, N, C); for cross-entropy of two outputs
            and more up to a constant a sample, which softmax does not see.
        chosen: index into the grid.
        chosen_by: "held-out", "leave-one-out", or "last" where there was nothing to choose by.
        error: share of wrong classes by which was chosen, shape (T,); None where nothing was.
        loss: mean loss beside it, shape (T,).
    """

    by: By
    grid: Float[Tensor, "T"]
    outputs: Float[Tensor, "T M C"]
    train_outputs: Float[Tensor, "T N C"]
    chosen: int
    chosen_by: str
    error: Float[Tensor, "T"] | None = None
    loss: Float[Tensor, "T"] | None = None

    @property
    def final(self) -> Float[Tensor, "M C"]:
        """Outputs at the new points at the chosen place of the grid."""
        return self.outputs[self.chosen]

    def accuracy(self, labels: Shaped[Tensor, "M ..."]) -> Float[Tensor, "T"]:
        """Share of the new points whose class is predicted, along the grid."""
        return 1 - wrong_share(self.outputs, labels)

    def mean_loss(self, targets: Shaped[Tensor, "M ..."]) -> Float[Tensor, "T"]:
        """Mean loss at the new points along the grid: the loss that `by` trains with."""
        return mean_loss(self.outputs, targets, self.by)


@takes_arrays
def predict(
    kernel: Kernel,
    cross: Float[Tensor, "MC NC"],
    targets: Shaped[Tensor, "N ..."],
    outputs: Float[Tensor, "N C"],
    test_outputs: Float[Tensor, "M C"],
    *,
    by: By = "squared",
    start: float = 1.0,
    grid: Sequence[float] | Tensor | None = None,
    lr: float | None = None,
    reduction: Literal["mean", "sum"] = "mean",
    held_out: HeldOut | None = None,
    choose: Choose = "accuracy",
) -> Prediction:
    """The linearized model after training, at new points, from the kernel at the start.

    - "squared": gradient flow on ½‖f − y‖² a sample in closed form, f_t = f_0 + k K⁺(1 − e^{−cKt})
      (y − f_0); with `lr` gradient descent, (1 − ηcK)^k.
    - "cross-entropy": gradient flow in function space, ḟ = −c K (softmax f − y), by a stiff solver;
      with `lr` gradient descent step by step.
    - "ridge": f_0 + k (K + μ)^{-1} (y − f_0), the end of training with weight decay μ on the way
      from θ_0; a kernel that is not symmetric counts as features (`Ridge.of_features`).
    - "sign": sign descent with one sample a step, in the mean over samples, from a sign kernel
      (`sign_kernel`), with cross-entropy: its slope σ(f) − y never changes sign, so
      f_t = f_0 + c t k ỹ with ỹ = ±1. One output only.

    One output (C = 1) stands for two classes, labels 0 and 1: the difference of their logits
    (`logit_difference`, `difference_kernel`). Its squared loss has the targets ±1. Labels become
    one-hot targets where C > 1.

    Args:
        kernel: K at the start on the training samples, (N·C, N·C), or its modes or spectrum (for
            cross-entropy and C > 1 the centred ones), so that it is taken apart once.
        cross: K(x*, X), shape (M·C, N·C).
        targets: labels (N,), or values (N, C).
        outputs: f_0 on the training samples.
        test_outputs: f_0 at the new points.
        by: see above.
        start: what f_0 counts: 1 keeps it, 0 leaves it out, w trains from w·f_0.
        grid: times (steps with `lr`, ridges for "ridge"); geometric in units of the kernel's scale
            if None.
        lr: η of gradient descent, in place of gradient flow.
        reduction: of the loss over the samples, as it is trained: c = 1/N for a mean.
        held_out: points to choose the place of the grid by (early stopping). Without them "ridge"
            leaves out every training sample in turn, in closed form; the others take the last.
        choose: by wrong classes, equal ones by the loss; or by the loss alone.

    Raises:
        InputError: an unknown word, shapes that do not fit, one output where several are or the
            other way round.

    Cost: one spectrum with vectors, then T·(N + M)·C·rank multiply-adds.

    Example:
        >>> K = torch.tensor([[2.0, 1.0], [1.0, 2.0]]).double()
        >>> cross, y = torch.tensor([[2.0, 0.0]]).double(), torch.tensor([1, 0])
        >>> f0, new_f0 = torch.zeros(2, 1), torch.zeros(1, 1)
        >>> run = predict(K, cross, y, f0, new_f0, by="ridge", grid=[0.0, 1.0])
        >>> [round(f, 6) for f in run.outputs.flatten().tolist()]
        [2.0, 1.0]
    """
    _check_words(by, choose)
    start_outputs = [_plain(outputs) * start, _plain(test_outputs) * start]
    crosses = [cross]
    if held_out is not None:
        start_outputs.append(_plain(held_out.outputs) * start)
        crosses.append(held_out.cross)
    problem = Problem.of(kernel, crosses, targets, start_outputs, by, reduction, lr)
    at, changes, left_out = WAYS[by](problem, grid)
    made = [f0 + df.reshape(-1, *f0.shape) for f0, df in zip(start_outputs, changes, strict=True)]
    train, test = made[:2]
    if held_out is not None:
        judged, chosen_by, labels = made[2], "held-out", held_out.targets.detach().cpu()
    elif left_out is not None:
        judged, chosen_by = start_outputs[0] + left_out.reshape(train.shape), "leave-one-out"
        labels = problem.targets
    else:
        return Prediction(by, at, test, train, len(at) - 1, "last")
    error, loss = wrong_share(judged, labels), mean_loss(judged, labels, by)
    chosen = _best(error if choose == "accuracy" else torch.zeros_like(error), loss)
    return Prediction(by, at, test, train, chosen, chosen_by, error, loss)


def _best(error: Tensor, loss: Tensor) -> int:
    """The first place of the least error, and among those of the least loss; NaN is the worst."""
    loss = loss.nan_to_num(torch.inf)
    error = torch.where(loss.isinf(), torch.inf, error)
    least = torch.where(error == error.min(), loss, torch.inf)
    return int(least.argmin())


def _plain(outputs: Tensor) -> Tensor:
    return outputs.detach().to("cpu", torch.float64)


def _check_words(by: str, choose: str) -> None:
    if by not in get_args(By):
        raise unknown("way to predict", by, get_args(By))
    if choose not in get_args(Choose):
        raise unknown("choice", choose, get_args(Choose))
