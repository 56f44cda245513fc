"""The dynamics of a loss by its name, with the scale of its reduction."""

from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from ntklab.arrays import takes_arrays
from ntklab.dynamics.cross_entropy import CrossEntropyDynamics
from ntklab.dynamics.modes import Modes
from ntklab.dynamics.squared import SquaredDynamics
from ntklab.errors import InputError, unknown
from ntklab.spectra import JacobianLike, Spectrum

LOSSES = ("squared", "cross-entropy")


@takes_arrays
def linearize(
    kernel: Spectrum | JacobianLike | Float[Tensor, "NC NC"] | Modes,
    outputs: Float[Tensor, "N C"],
    targets: Shaped[Tensor, "N ..."],
    *,
    loss: Literal["squared", "cross-entropy"] = "squared",
    reduction: Literal["mean", "sum"] = "mean",
) -> SquaredDynamics | CrossEntropyDynamics:
    """Linearized training from a start, ready to `flow(times)` or `descent(steps, lr)`.

    Losses and reductions are those of `ntklab.training`: ½‖f − y‖² a sample (labels as one-hot
    values) or cross-entropy; their mean over the samples or their sum.

    Args:
        kernel: K at the start (for cross-entropy a spectrum must be centred), see `Modes.of`.
        outputs: f_0.
        targets: labels (N,), or values (N, C).
        loss: whose dynamics.
        reduction: `mean` (c = 1/N) or `sum` (c = 1).

    Raises:
        InputError: an unknown word, or shapes that do not fit.

    Example:
        >>> import torch
        >>> K, f0, y = torch.eye(4).double(), torch.zeros(2, 2), torch.tensor([0, 1])
        >>> run = linearize(K, f0, y).descent([0, 1], lr=2.0)
        >>> run.loss.tolist(), run.outputs[1].tolist()
        ([0.5, 0.0], [1.0, 0.0, 0.0, 1.0])
    """
    if loss not in LOSSES:
        raise unknown("loss", loss, LOSSES)
    if reduction not in ("mean", "sum"):
        raise unknown("reduction", reduction, ("mean", "sum"))
    outputs, targets = torch.as_tensor(outputs), torch.as_tensor(targets)
    _check_shapes(outputs, targets)
    scale = 1.0 if reduction == "sum" else 1.0 / len(outputs)
    if loss == "cross-entropy":
        return CrossEntropyDynamics.of(kernel, outputs, targets, scale=scale)
    y = targets.double()
    if not targets.is_floating_point():
        y = nn.functional.one_hot(targets, outputs.shape[1]).double()
    f0 = outputs.detach().double()
    return SquaredDynamics.of(kernel, f0 - y.reshape(f0.shape), targets=y, scale=scale)


def _check_shapes(outputs: Tensor, targets: Tensor) -> None:
    """Labels (N,) below C or values (N, C), for outputs (N, C)."""
    if outputs.ndim != 2 or 0 in outputs.shape:
        raise InputError(f"outputs have shape {tuple(outputs.shape)}: give f_0 as (N, C).")
    labels = not targets.is_floating_point()
    wanted = outputs.shape[:1] if labels else outputs.shape
    if targets.shape != wanted and (labels or targets.shape != (outputs.numel(),)):
        kind = f"labels (N,) = ({wanted[0]},)" if labels else f"values (N, C) = {tuple(wanted)}"
        raise InputError(f"targets have shape {tuple(targets.shape)}: give {kind}.")
    if labels and not bool(((targets >= 0) & (targets < outputs.shape[1])).all()):
        raise InputError(
            f"labels lie in {int(targets.min())}..{int(targets.max())}, but there are "
            f"{outputs.shape[1]} outputs: give labels from 0 to {outputs.shape[1] - 1}."
        )
