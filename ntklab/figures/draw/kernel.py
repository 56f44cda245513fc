"""A kernel as a picture, its samples sorted by class."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.display import axes_or_new
from ntklab.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 128  # samples in a picture: more than it has dots tell nothing more
_OUTLIERS = 0.02  # share of entries beyond either end of the colours


@takes_arrays
def draw_kernel(
    K: Float[Tensor, "N N"],
    labels: Int[Tensor, " N"],
    axes: "Axes | None" = None,
    *,
    centred: bool = False,
) -> "Axes":
    """The entries of a kernel as colours, samples of one class beside each other.

    Args:
        K: one number a pair of samples, as `ntk(…, output="trace")` has it.
        labels: class of every sample.
        axes: where to draw; new ones if None.
        centred: take the mean over samples out first: kernels of nearly parallel features are
            nearly constant otherwise.

    Returns:
        The axes, with a bar of colours; lines part the classes.

    Raises:
        InputError: a kernel that is not of shape (N, N) for N labels.

    Example:
        >>> import matplotlib, torch
        >>> matplotlib.use("Agg")
        >>> axes = draw_kernel(torch.eye(4), torch.tensor([0, 1, 0, 1]), centred=True)
        >>> axes.get_title()
        'kernel, mean removed'
    """
    if tuple(K.shape) != (len(labels), len(labels)):
        raise InputError(f"a kernel of shape {tuple(K.shape)} beside {len(labels)} labels.")
    order = labels.argsort(stable=True)
    order = order[:: -(-len(order) // _MOST)]
    places, classes = order.cpu().numpy(), labels[order].cpu().numpy()
    entries = K.detach().cpu().double().numpy()
    if centred:
        entries = entries - entries.mean(0) - entries.mean(1, keepdims=True) + entries.mean()
    shown = entries[np.ix_(places, places)]
    low, high = np.quantile(shown, (_OUTLIERS, 1 - _OUTLIERS))
    if centred:
        high = max(abs(low), abs(high))
        low = -high
    axes = axes_or_new(axes)
    colours = "RdBu_r" if centred else "cividis"
    image = axes.imshow(shown, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, shrink=0.85)
    for border in np.flatnonzero(np.diff(classes)) + 0.5:
        for line in (axes.axhline, axes.axvline):
            line(border, color="#000000" if centred else "#FFFFFF", linewidth=0.6)
    axes.set(title="kernel, mean removed" if centred else "kernel", xticks=[], yticks=[])
    axes.set(xlabel="sample, by class", ylabel="sample, by class")
    axes.grid(visible=False)
    return axes
