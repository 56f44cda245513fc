"""Axes to draw on: the caller's, or new ones that a notebook shows by itself."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def axes_or_new(axes: "Axes | None") -> "Axes":
    """These axes, or those of a new figure.

    Args:
        axes: of the caller; None makes a figure with pyplot, which a notebook shows and
            `matplotlib.pyplot.show()` opens.

    Example:
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> axes = axes_or_new(None)
        >>> axes_or_new(axes) is axes
        True
    """
    if axes is not None:
        return axes
    from matplotlib import pyplot as plt

    return plt.subplots(layout="constrained")[1]
