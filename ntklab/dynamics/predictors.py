"""The ways of `ntklab.predict`: how f − f_0 follows from the kernel, along a grid."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from ntklab.dynamics.cross_entropy import CrossEntropyDynamics
from ntklab.dynamics.difference import lift_cross, lift_modes
from ntklab.dynamics.modes import Modes
from ntklab.dynamics.ridge import Ridge
from ntklab.dynamics.squared import SquaredDynamics
from ntklab.dynamics.trajectory import Trajectory
from ntklab.errors import InputError
from ntklab.spectra import JacobianLike, Spectrum

By = Literal["squared", "cross-entropy", "ridge", "sign"]
Kernel = Spectrum | JacobianLike | Float[Tensor, "n n"] | Modes
Grid = Sequence[float] | Tensor | None
#: The grid, f − f_0 on the training samples and at every set of points, and with samples left out.
Way = tuple[Tensor, list[Tensor], Tensor | None]

# Geometric, in units of the kernel's scale: from a tenth of the time in which its strongest mode
# falls by e, to where modes 10^4 times weaker have.
_TIMES = torch.logspace(-1, 5, 49, dtype=torch.float64)
# Ridges over λ_max: below the first nothing changes that float64 could see of few-shot kernels.
_RIDGES = torch.logspace(-8, 1, 46, dtype=torch.float64)
_STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
_SIGN_TIMES = torch.logspace(-2, 3, 41, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Problem:
    """The problem to predict, on the CPU in float64, its shapes checked.

    Attributes:
        kernel: as it was given.
        crosses: K(x*, X) of every set of points.
        targets: labels (N,) or values (N, C).
        start: w·f_0 on the training samples, shape (N, C).
        scale: c.
        lr: η, or None for gradient flow.
    """

    kernel: Kernel
    crosses: list[Float[Tensor, "MC NC"]]
    targets: Shaped[Tensor, "N ..."]
    start: Float[Tensor, "N C"]
    scale: float
    lr: float | None

    @classmethod
    def of(
        cls,
        kernel: Kernel,
        crosses: list[Tensor],
        targets: Shaped[Tensor, "N ..."],
        outputs: list[Float[Tensor, "M C"]],
        by: By,
        reduction: str,
        lr: float | None,
    ) -> "Problem":
        """Checked; `outputs` are those of the training samples, then those of every cross kernel.

        Raises:
            InputError: what does not fit.
        """
        if any(f0.ndim != 2 or 0 in f0.shape for f0 in outputs):
            shapes = [tuple(f0.shape) for f0 in outputs]
            raise InputError(f"outputs have shapes {shapes}: give f_0 as (N, C) everywhere.")
        if reduction not in ("mean", "sum"):
            raise InputError(f"reduction = {reduction!r} must be 'mean' or 'sum'.")
        if lr is not None and (by not in ("squared", "cross-entropy") or not lr > 0):
            raise InputError(f"lr = {lr} goes with squared and cross-entropy, and is positive.")
        count, C = outputs[0].shape
        targets = targets.detach().cpu()
        _check_targets(targets, count, C, by)
        whole = [cross.detach().to("cpu", torch.float64) for cross in crosses]
        for cross, f0 in zip(whole, outputs[1:], strict=True):
            if tuple(cross.shape) != (f0.numel(), count * C):
                raise InputError(
                    f"a cross kernel of shape {tuple(cross.shape)} does not fit outputs of shape "
                    f"{tuple(f0.shape)} and {count} training samples: give K(x*, X) of shape "
                    f"({f0.numel()}, {count * C})."
                )
        if isinstance(kernel, Tensor) and tuple(kernel.shape) != (count * C, count * C):
            raise InputError(
                f"a kernel of shape {tuple(kernel.shape)} does not fit outputs of shape "
                f"({count}, {C}): give (N·C, N·C) = ({count * C}, {count * C})."
            )
        scale = 1.0 if reduction == "sum" else 1.0 / count
        return cls(kernel, whole, targets, outputs[0], scale, lr)

    def modes(self, *, centred: bool = False) -> Modes:
        """The modes of the kernel, taken apart here unless they were given."""
        if isinstance(self.kernel, Modes):
            return self.kernel
        return Modes.of(self.kernel, n_outputs=self.start.shape[1], centred=centred)

    def residual(self) -> Float[Tensor, "NC"]:
        """y − w·f_0, with targets ±1 for one output and one-hot for several."""
        return (wanted(self.targets, self.start.shape[1]) - self.start).reshape(-1)


def squared(problem: Problem, grid: Grid) -> Way:
    """Linearized training with squared loss."""
    modes = problem.modes()
    y = wanted(problem.targets, problem.start.shape[1]).reshape(-1)
    dynamics = SquaredDynamics.of(modes, -problem.residual(), targets=y, scale=problem.scale)
    at = _times(problem, grid, modes)
    lr = problem.lr
    run = dynamics.flow(at) if lr is None else dynamics.descent(at, lr)
    changes = [run.outputs - problem.start.reshape(-1)]
    return at, changes + [run.change_at(cross) for cross in problem.crosses], None


def cross_entropy(problem: Problem, grid: Grid) -> Way:
    """Linearized training with cross-entropy; one output as two logits, half of it each way."""
    start, crosses, single = problem.start, problem.crosses, problem.start.shape[1] == 1
    modes = problem.modes(centred=not single)
    at = _times(problem, grid, modes)
    if single:
        modes, crosses = lift_modes(modes), [lift_cross(cross) for cross in crosses]
        start = torch.cat([-start / 2, start / 2], 1)
    labels = problem.targets
    dynamics = CrossEntropyDynamics.of(modes, start, labels, scale=problem.scale)
    run = _run_cross_entropy(dynamics, at, problem.lr)
    train = run.outputs - start.reshape(-1)
    if single:
        train = train[:, 1::2] - train[:, ::2]
    return at, [train, *(run.change_at(cross) for cross in crosses)], None


def ridge(problem: Problem, grid: Grid) -> Way:
    """Kernel ridge regression, with each training sample left out in turn."""
    kernel, residual = problem.kernel, problem.residual()
    features = isinstance(kernel, Tensor) and not _is_symmetric(kernel)
    if features:
        rows = kernel.detach().to("cpu", torch.float64)  # type: ignore[union-attr]
        fits = [Ridge.of_features(rows, cross) for cross in problem.crosses]
    else:
        modes = problem.modes()
        fits = [Ridge.of(modes, cross) for cross in problem.crosses]
    at = _RIDGES * fits[0].strengths.max() if grid is None else _as_grid(grid)
    changes = [fits[0].fitted(residual, at), *(fit.outputs(residual, at) for fit in fits)]
    return at, changes, fits[0].left_out(residual, at, problem.start.shape[1])


def sign(problem: Problem, grid: Grid) -> Way:
    """Sign descent with one sample a step, in the mean, with cross-entropy: a straight line."""
    if problem.start.shape[1] != 1:
        raise InputError(
            f"sign descent needs one output a sample, not {problem.start.shape[1]}: for two "
            "classes take the difference of their logits."
        )
    if not isinstance(problem.kernel, Tensor):
        raise InputError("sign descent needs a sign kernel as a matrix: take `sign_kernel`.")
    direction = problem.scale * (2.0 * problem.targets.double() - 1)
    kernels = [problem.kernel.detach().to("cpu", torch.float64), *problem.crosses]
    slopes = [K @ direction for K in kernels]
    size = float(slopes[0].abs().median()) or 1.0
    own = torch.cat([torch.zeros(1).double(), _SIGN_TIMES / size])
    at = own if grid is None else _as_grid(grid)
    return at, [at[:, None] * slope for slope in slopes], None


WAYS: dict[str, Callable[[Problem, Grid], Way]] = {
    "squared": squared,
    "cross-entropy": cross_entropy,
    "ridge": ridge,
    "sign": sign,
}


def wanted(targets: Shaped[Tensor, "N ..."], n_outputs: int) -> Float[Tensor, "N C"]:
    """Targets of the squared loss: values as they are; of labels ±1 for one output, else one-hot.

    Example:
        >>> wanted(torch.tensor([0, 1]), 1).tolist(), wanted(torch.tensor([1]), 2).tolist()
        ([[-1.0], [1.0]], [[0.0, 1.0]])
    """
    if targets.is_floating_point():
        return targets.double().reshape(-1, n_outputs)
    if n_outputs > 1:
        return F.one_hot(targets.long(), n_outputs).double()
    return (2.0 * targets.double() - 1)[:, None]


def wrong_share(outputs: Float[Tensor, "T M C"], targets: Shaped[Tensor, "M ..."]) -> Tensor:
    """Share of wrong classes along a grid, shape (T,); one output counts by its sign.

    Example:
        >>> wrong_share(torch.tensor([[[1.0], [-2.0]]]), torch.tensor([1, 1])).tolist()
        [0.5]
    """
    targets = targets.cpu()
    if outputs.shape[2] == 1:
        right = (outputs[..., 0] > 0) == (targets.reshape(-1) > 0)
    else:
        classes = targets.argmax(1) if targets.is_floating_point() else targets
        right = outputs.argmax(2) == classes
    return 1 - right.double().mean(1)


def mean_loss(
    outputs: Float[Tensor, "T M C"], targets: Shaped[Tensor, "M ..."], by: str
) -> Float[Tensor, "T"]:
    """Mean loss along a grid: ½‖f − y‖² for "squared" and "ridge", else cross-entropy."""
    targets = targets.cpu()
    if by in ("squared", "ridge"):
        return 0.5 * (outputs - wanted(targets, outputs.shape[2])).square().sum(2).mean(1)
    if outputs.shape[2] == 1:
        return F.softplus(-(2.0 * targets.double() - 1) * outputs[..., 0]).mean(1)
    classes = targets.long().expand(len(outputs), -1)
    return F.cross_entropy(outputs.movedim(2, 1), classes, reduction="none").mean(1)


def _times(problem: Problem, grid: Grid, modes: Modes) -> Tensor:
    if grid is not None:
        at = _as_grid(grid)
        return at if problem.lr is None else at.to(torch.int64)
    if problem.lr is not None:
        return torch.tensor(_STEPS)
    largest = float(modes.eigenvalues[0]) if modes.rank else 1.0
    return torch.cat([torch.zeros(1).double(), _TIMES / (problem.scale * largest)])


def _run_cross_entropy(dynamics: CrossEntropyDynamics, at: Tensor, lr: float | None) -> Trajectory:
    # 1e-7 of the outputs is far below what any seed changes, and halves the solver's work.
    return dynamics.flow(at, tolerance=1e-7) if lr is None else dynamics.descent(at, lr)


def _as_grid(grid: Any) -> Tensor:
    at = torch.as_tensor(grid, dtype=torch.float64).reshape(-1)
    if len(at) == 0 or not bool((at >= 0).all()):
        raise InputError("the grid must be a non-empty list of times, steps or ridges ≥ 0.")
    return at


def _is_symmetric(kernel: Tensor) -> bool:
    K = kernel.detach().double()
    return bool((K - K.T).abs().max() <= 1e-6 * K.abs().max())


def _check_targets(targets: Tensor, count: int, C: int, by: str) -> None:
    if targets.is_floating_point():
        if by in ("cross-entropy", "sign"):
            raise InputError(f"{by} needs labels, integers of shape ({count},), not values.")
        if targets.numel() != count * C:
            raise InputError(
                f"targets have shape {tuple(targets.shape)}: give values ({count}, {C}) or labels "
                f"({count},)."
            )
        return
    if tuple(targets.shape) != (count,):
        raise InputError(f"targets have shape {tuple(targets.shape)}: give labels ({count},).")
    most = max(C - 1, 1)
    if not bool(((targets >= 0) & (targets <= most)).all()):
        raise InputError(
            f"labels lie in {int(targets.min())}..{int(targets.max())}: with {C} outputs give 0 to "
            f"{most}."
        )
