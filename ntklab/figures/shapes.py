"""The map of tensor-train shapes: what width, parameters and ranks a shape really gives."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.figures.style import drawing, method_style
from ntklab.records import Record
from ntklab.tensor_train import TTShape, candidates, plan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]

#: d, C and the width whose shapes are all shown: the released quantum-dot head.
FEATURES, OUTPUTS, WIDTH = 512, 2, 1024
WIDTHS = (64, 256, 1024, 2048, 4096)
TT_RANKS = ((1, 1, 1, 1, 1), (1, 2, 2, 1, 1), (1, 2, 2, 2, 1), (1, 4, 4, 1, 1), (1, 4, 4, 4, 1))
_EVERY = 10**6  # more shapes than there are


def shapes_table() -> Table:
    """Every shape of the map.

    Returns:
        Rows with panel ("all shapes" of width 1024 at the released ranks, or "planned" over
        widths and ranks), width, out_dims, tt_ranks, parameters, effective_width, reach (effective
        width over min(d, M), at most 1), collapsed, released (is it the shape of the paper).

    Cost: about 0.1 s.
    """
    released = plan(FEATURES, OUTPUTS, WIDTH).shape
    every = candidates(FEATURES, OUTPUTS, WIDTH, limit=_EVERY)
    table = [_row("all shapes", WIDTH, shape, released) for shape in every]
    for ranks in TT_RANKS:
        for width in WIDTHS:
            shape = plan(FEATURES, OUTPUTS, width, ranks=ranks).shape
            table.append(_row("planned", width, shape, released))
    return table


def shapes_figure(
    records: Mapping[str, Record] | None = None, *, venue: str = "neurips"
) -> tuple["Figure", Table]:
    """Left: effective width over parameters of every shape; right: over width and TT-ranks.

    Args:
        records: not needed: the planner decides.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.
    """
    from matplotlib.figure import Figure

    table = shapes_table()
    with drawing(venue, columns=2, height_to_width=0.95):
        figure = Figure()
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.45))
        _scatter(left, [row for row in table if row["panel"] == "all shapes"])
        _grid(figure, right, [row for row in table if row["panel"] == "planned"])
    return figure, table


def shapes_caption(records: Mapping[str, Record] | None = None) -> str:
    """The caption, with its counts."""
    every = [row for row in shapes_table() if row["panel"] == "all shapes"]
    collapsed = sum(row["collapsed"] for row in every)
    released = next(row for row in every if row["released"])
    best = every[0]
    return (
        f"What a shape makes of the width, at d = {FEATURES}, C = {OUTPUTS}. Left: all "
        f"{len(every)} factorings of the M (d + C) weights of width M = {WIDTH} into four modes "
        f"that hold the released TT-ranks 1,2,2,1,1; {collapsed} of them collapse, that is their "
        "effective width (the largest rank of W1, theory P2) is below min(d, M). The triangle is "
        f"the released shape {released['out_dims']}: {released['parameters']} parameters, "
        f"effective width {released['effective_width']}; the star is the planner's best, "
        f"{best['out_dims']}: {best['parameters']} parameters, effective width "
        f"{best['effective_width']}. Areas count shapes with the same two numbers. Right: "
        "effective width of the planner's shape over width and TT-ranks, parameters in brackets; "
        "colour is effective width over min(d, M). Counted from shapes alone: no samples, no "
        "seeds."
    )


def _row(panel: str, width: int, shape: TTShape, released: TTShape) -> dict[str, Any]:
    full = min(FEATURES, width)
    effective = min(shape.effective_width(width), full)
    return {
        "panel": panel,
        "width": width,
        "out_dims": "x".join(map(str, shape.out_dims)),
        "tt_ranks": ",".join(map(str, shape.ranks)),
        "parameters": shape.parameters,
        "effective_width": effective,
        "reach": effective / full,
        "collapsed": effective < full,
        "released": shape == released,
    }


def _scatter(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    counts: dict[tuple[int, int], int] = {}
    for row in rows:
        point = (row["parameters"], row["effective_width"])
        counts[point] = counts.get(point, 0) + 1
    points = np.array(list(counts))
    area = 5 * np.array(list(counts.values()), dtype=np.float64)
    full = points[:, 1] >= min(FEATURES, WIDTH)
    for chosen, colour, name in (
        (~full, "#A0A0A0", "collapsed"),
        (full, "#56B4E9", "full width"),
    ):
        axes.scatter(
            points[chosen, 0], points[chosen, 1], s=area[chosen], color=colour, alpha=0.65,
            linewidths=0, label=name,
        )  # fmt: skip
    style = method_style("tensorguide")
    marked: dict[str, Any] = {"color": style.colour, "linestyle": "none", "zorder": 4}
    for row, marker, name in (
        (next(row for row in rows if row["released"]), style.marker, "released shape"),
        (rows[0], "*", "planner's best"),
    ):
        axes.plot(
            row["parameters"], row["effective_width"], marker=marker, markersize=7, label=name,
            markeredgecolor="white", **marked,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log", base=2)
    axes.set_ylim(None, 4 * WIDTH)  # room for the legend
    axes.set_yticks([4**k for k in range(1, 6)], [str(4**k) for k in range(1, 6)])
    axes.set_xlabel("parameters $P$")
    axes.set_ylabel("effective width")
    axes.set_title(f"every shape of $M={WIDTH}$")
    legend = axes.legend(
        loc="upper center", ncols=2, fontsize="x-small", handletextpad=0.2, columnspacing=0.8
    )
    for handle in legend.legend_handles[:2]:  # areas say counts in the panel, not in the legend
        handle.set_sizes([22])  # type: ignore[union-attr]


def _grid(figure: "Figure", axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    widths = list(dict.fromkeys(row["width"] for row in rows))
    ranks = list(dict.fromkeys(row["tt_ranks"] for row in rows))
    cells = {(row["tt_ranks"], row["width"]): row for row in rows}
    reach = np.array([[cells[r, m]["reach"] for m in widths] for r in ranks])
    image = axes.imshow(reach, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for y, rank in enumerate(ranks):
        for x, width in enumerate(widths):
            row = cells[rank, width]
            colour = "white" if row["reach"] < 0.6 else "#202020"
            axes.text(
                x, y, f"{row['effective_width']}\n({row['parameters']})", ha="center", va="center",
                fontsize="x-small", color=colour, linespacing=1.0,
            )  # fmt: skip
    axes.set_xticks(range(len(widths)), [str(width) for width in widths], fontsize="x-small")
    axes.set_yticks(range(len(ranks)), ranks, fontsize="x-small")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel("width $M$ of the head")
    axes.set_ylabel("TT-ranks")
    axes.set_title("effective width (parameters)")
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
    bar.set_label(r"effective width $/\,\min(d, M)$", fontsize="small")
    bar.ax.tick_params(labelsize="small", length=2)
    bar.outline.set_visible(False)
