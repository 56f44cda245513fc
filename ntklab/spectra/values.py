"""Lists of eigenvalues with multiplicities: whether they make sense, spread out, drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from ntklab.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scale = Literal["sigma", "lambda"]


def check_values(values: Tensor, counts: Tensor, size: int) -> None:
    """Refuse eigenvalues that do not fit their multiplicities or the size of the kernel.

    Raises:
        InputError: empty or not finite values, or more of them than `size`.

    Example:
        >>> check_values(torch.tensor([1.0]), torch.tensor([3]), 2)
        Traceback (most recent call last):
        ntklab.errors.InputError: the multiplicities sum to 3: each must be at least 1 and their \
sum at most the size of the kernel, 2.
    """
    if values.ndim != 1 or not len(values) or values.shape != counts.shape:
        raise InputError(
            f"eigenvalues of shape {tuple(values.shape)} with multiplicities of shape"
            f" {tuple(counts.shape)}: give two non-empty vectors of one length."
        )
    if not torch.isfinite(values).all():
        raise InputError("the eigenvalues hold NaN or infinity: check the kernel they come from.")
    if (counts < 1).any() or int(counts.sum()) > size:
        raise InputError(
            f"the multiplicities sum to {int(counts.sum())}: each must be at least 1 and their sum"
            f" at most the size of the kernel, {size}."
        )


def gap_at_rank(values: Tensor, nonzero: Tensor, scale: Scale) -> float | None:
    """σ_{r+1}/σ_r, from values before zeroing; noise below zero counts by its magnitude."""
    if nonzero.all() or not nonzero.any():
        return None
    ratio = float(values[~nonzero].abs().max() / values[nonzero][-1])
    return ratio if scale == "sigma" else ratio**0.5


def repeated(values: Tensor, counts: Tensor, size: int) -> Tensor:
    """Each value as often as it occurs, then zeros up to `size`.

    Example:
        >>> repeated(torch.tensor([3.0, 1.0]), torch.tensor([1, 2]), 4).tolist()
        [3.0, 1.0, 1.0, 0.0]
    """
    listed = values.repeat_interleave(counts)
    return torch.nn.functional.pad(listed, (0, size - len(listed)))


def corners(values: Tensor, counts: Tensor) -> tuple[list[int], list[float]]:
    """Indices and values at both ends of every group of equal eigenvalues, exact zeros left out.

    A line through them is the line through all eigenvalues, and as short for the kernel of a whole
    vocabulary as for a small one.

    Args:
        values: λ, descending, shape (G,).
        counts: their multiplicities.

    Returns:
        Indices from 1 on, and the values there.

    Example:
        >>> corners(torch.tensor([4.0, 1.0, 0.0]), torch.tensor([1, 1000, 7]))
        ([1, 2, 1001], [4.0, 1.0, 1.0])
    """
    shown = values > 0
    counts = counts[shown]
    last = counts.cumsum(0)
    index = torch.stack([last - counts + 1, last], 1).flatten()
    both = torch.stack([values[shown], values[shown]], 1).flatten()
    kept = torch.stack([torch.ones_like(counts), counts - 1], 1).flatten() > 0
    return index[kept].tolist(), both[kept].tolist()


def draw_eigenvalues(
    axes: "Axes", index: Sequence[int], values: Sequence[float], *, label: str, **line: Any
) -> "Axes":
    """Nonzero eigenvalues, largest first, on logarithmic axes; a marker at the smallest.

    Args:
        axes: where to draw.
        index: of the values, from 1 on.
        values: λ > 0, descending.
        label: of the line in the legend.
        **line: options of `Axes.plot`.
    """
    options = {"marker": "o", "markevery": [-1] if values else [], **line}
    axes.plot(index, values, label=label, **options)
    axes.set(xscale="log", yscale="log", xlabel="index $i$, largest first")
    axes.set_ylabel(r"NTK eigenvalue $\lambda_i$")
    axes.legend()
    return axes
