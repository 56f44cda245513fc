"""The style of a venue for a whole session, panels as wide as its page, legends outside of them."""

import sys
from typing import TYPE_CHECKING, Any

from ntklab.figures.style import METHODS, venue_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend


def use_style(venue: str = "neurips", *, dpi: int = 110) -> None:
    """From here on matplotlib draws in the style of a venue; notebooks show it in full sharpness.

    Args:
        venue: see `ntklab.figures.venue_style`.
        dpi: dots an inch of what a notebook shows.

    Raises:
        InputError: for an unknown venue.

    Example:
        >>> import matplotlib
        >>> with matplotlib.rc_context():
        ...     use_style("icml2024")
        ...     matplotlib.rcParams["axes.grid"]
        True
    """
    import matplotlib as mpl
    from cycler import cycler  # matplotlib's own dependency

    colours = [style.colour for style in METHODS.values()]
    style: Any = venue_style(venue) | {
        "figure.dpi": dpi,
        "lines.markersize": 3.5,
        "axes.prop_cycle": cycler(color=colours),
    }
    mpl.rcParams.update(style)
    if "ipykernel" in sys.modules:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")


def panels(
    columns: int = 1,
    rows: int = 1,
    *,
    height_to_width: float = 0.62,
    venue: str = "neurips",
    **options: Any,
) -> tuple["Figure", Any]:
    """A grid of panels as wide as a venue's page of text, as `pyplot.subplots` returns it.

    Args:
        columns: panels side by side.
        rows: panels above each other.
        height_to_width: of one panel.
        venue: see `ntklab.figures.venue_style`.
        **options: of `pyplot.subplots`.

    Returns:
        The figure, and its axes: one, or an array of shape (columns,), (rows,) or (rows, columns).

    Raises:
        InputError: for an unknown venue.

    Example:
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> figure, (left, right) = panels(2)
        >>> figure.get_size_inches()[0]
        np.float64(5.5)
    """
    from matplotlib import pyplot as plt

    style = venue_style(venue, columns=columns, height_to_width=height_to_width)
    width, height = style["figure.figsize"]
    return plt.subplots(
        rows, columns, **{"figsize": (width, rows * height), "layout": "constrained", **options}
    )


def legend_beside(axes: "Axes", **options: Any) -> "Legend":
    """The legend of some axes at their right, where it covers no curve.

    Args:
        axes: whose labelled lines are named.
        **options: of `Axes.legend`.

    Example:
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> _, axes = panels()
        >>> _ = axes.plot([1, 2], label="measured")
        >>> [text.get_text() for text in legend_beside(axes).get_texts()]
        ['measured']
    """
    place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "fontsize": "x-small"}
    return axes.legend(**{**place, **options})


def legend_below(figure: "Figure", **options: Any) -> "Legend":
    """One legend below all panels, with the lines of the first.

    Args:
        figure: whose panels share their labels.
        **options: of `Figure.legend`.

    Example:
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> figure, (left, right) = panels(2)
        >>> _ = left.plot([1, 2], label="measured")
        >>> [text.get_text() for text in legend_below(figure).get_texts()]
        ['measured']
    """
    handles, labels = figure.axes[0].get_legend_handles_labels()
    place = {"loc": "outside lower center", "ncols": min(len(labels), 4), "fontsize": "x-small"}
    return figure.legend(handles, labels, **{**place, **options})
