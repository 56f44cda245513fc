"""Smallest eigenvalue, condition and effective dimension over width, TT-rank and parameters."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.figures.captions import sizes_of
from ntklab.figures.rows import column, need
from ntklab.figures.style import MethodStyle, drawing, method_style, scale_styles
from ntklab.records import Record
from ntklab.statistics import grouped, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]
Records = Mapping[str, Record]

#: Column of the records → label of its panels.
FIGURES: dict[str, str] = {
    "lambda_min_over_mean": r"$\lambda_{\min}\,/\,\bar\lambda$",
    "condition": r"condition $\lambda_{\max}/\lambda_{\min}^{+}$",
    "effective_dimension": r"effective dim. $d_{\mathrm{eff}}(\bar\lambda)$",
}
#: Width at which TensorGuide stands beside the other methods.
WIDTH = 1024
_COMMAND = "ntklab sweep"


def conditioning_table(records: Records) -> Table:
    """Medians and quartiles over seeds behind the figure.

    Args:
        records: of `ntklab sweep`: `sweep-widths` (TensorGuide over widths and TT-ranks) and
            `sweep-ranks` (the other methods over their ranks).

    Returns:
        Rows with panel ("width" or "parameters"), method, tt_ranks, width, params, figure, median,
        low and high (quartiles), seeds, singular (at how many of them λ_min is exactly 0).

    Raises:
        InputError: if a column is missing.
    """
    for record in records.values():
        need(record, "method", "params", *FIGURES, command=_COMMAND)
    widths = [r for r in records["sweep-widths"].results if r.get("width") is not None]
    beside = [r for r in widths if r["width"] == _beside(records)]
    return [
        *_summary("width", widths),
        *_summary("parameters", [*records["sweep-ranks"].results, *beside]),
    ]


def conditioning_figure(records: Records, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """Above, TensorGuide over the width, a line a vector of TT-ranks; below, all over parameters.

    A kernel that is singular has λ_min = 0 exactly, which no logarithmic axis shows: it stands,
    hollow, on the line at the foot of the panel.

    Args:
        records: see `conditioning_table`.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if a column is missing.
    """
    from matplotlib.figure import Figure

    table = conditioning_table(records)
    above = [row for row in table if row["panel"] == "width"]
    below = [row for row in table if row["panel"] == "parameters"]
    ranks = scale_styles(list(dict.fromkeys(row["tt_ranks"] for row in above)))
    methods = {row["method"]: method_style(row["method"]) for row in below}
    with drawing(venue, columns=3, height_to_width=2.5):
        figure = Figure()
        parts: Any = figure.subfigures(2, 1)
        _band(parts[0], above, "tt_ranks", "width", ranks)
        _band(parts[1], below, "method", "params", methods)
    return figure, table


def conditioning_caption(records: Records) -> str:
    """The caption, with sizes."""
    table = conditioning_table(records)
    singular = sorted({row["method"] for row in table if row["singular"]})
    names = ", ".join(method_style(method).label for method in singular) or "no method"
    above, below = (sizes_of(records[name]) for name in ("sweep-widths", "sweep-ranks"))
    return (
        "Smallest eigenvalue over the mean one (the scale of the outputs divided out), condition "
        "number on the range, and effective dimension at a ridge of the mean eigenvalue. Above: "
        "TensorGuide over the width of its head, a line a vector of TT-ranks. Below: every method "
        f"over its trained parameters, by rank; TensorGuide by TT-ranks at M = {_beside(records)}. "
        f"{'; below: '.join(dict.fromkeys((above, below)))}. Hollow markers at the foot: "
        f"λ_min = 0 exactly ({names})."
    )


def _beside(records: Records) -> int:
    """The width at which TensorGuide stands beside other methods: 1024, or the largest there is."""
    widths = {row.get("width") or 0 for row in records["sweep-widths"].results}
    return WIDTH if WIDTH in widths else max(widths)


def _summary(panel: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table: Table = []
    for (method, ranks, width, params), members in grouped(
        rows, "method", "tt_ranks", "width", "params"
    ).items():
        unique = {row["seed"]: row for row in members}.values()  # a rank beyond the modes is capped
        for figure in FIGURES:
            values = [row[figure] for row in unique]
            table.append(
                {
                    "panel": panel,
                    "method": method,
                    "tt_ranks": ranks,
                    "width": width,
                    "params": params,
                    "figure": figure,
                    **spread(values),
                    "singular": sum(value == 0 for value in values),
                }
            )
    return table


def _band(
    part: Any, table: Table, lines: str, across: str, styles: Mapping[str, MethodStyle]
) -> None:
    panels = part.subplots(1, len(FIGURES))
    for axes, (figure, label) in zip(panels, FIGURES.items(), strict=True):
        rows = [row for row in table if row["figure"] == figure]
        floor = _floor(rows) if figure == "lambda_min_over_mean" else None
        for place, (name, style) in enumerate(styles.items()):
            own = sorted((row for row in rows if row[lines] == name), key=lambda row: row[across])
            # zeros may coincide: the first is the largest, so that all are seen
            _line(axes, own, across, style, floor, size=3 + 0.8 * (len(styles) - place))
        _dress(axes, figure, label, across, floor)
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=s.colour, marker=s.marker, linestyle=s.line, markersize=4, label=s.label
        )
        for s in styles.values()
    ]
    title = "TT-ranks of TensorGuide" if lines == "tt_ranks" else None
    part.legend(
        handles=handles, loc="outside lower center", ncols=5, title=title, fontsize="small",
        title_fontsize="small", columnspacing=1.2, handlelength=1.6,
    )  # fmt: skip


def _floor(rows: Table) -> float | None:
    """Where exact zeros stand: a decade and a half below the least positive value."""
    if not any(row["singular"] for row in rows):
        return None
    positive = [row["low"] for row in rows if row["low"]]
    return 10 ** (np.floor(np.log10(min(positive))) - 1.5) if positive else 1e-16


def _line(
    axes: "Axes",
    rows: Table,
    across: str,
    style: MethodStyle,
    floor: float | None,
    *,
    size: float,
) -> None:
    x, middle, low, high = (column(rows, name) for name in (across, "median", "low", "high"))
    shown = middle > 0
    axes.fill_between(
        x[shown], np.where(low > 0, low, middle)[shown], high[shown], color=style.colour,
        alpha=0.15, lw=0,
    )  # fmt: skip
    axes.plot(
        x[shown], middle[shown], color=style.colour, linestyle=style.line, marker=style.marker,
        markersize=3.5,
    )  # fmt: skip
    if floor is not None and not shown.all():
        axes.plot(
            x[~shown], np.full((~shown).sum(), floor), color=style.colour, marker=style.marker,
            markerfacecolor="none", markersize=size, linestyle="none", clip_on=False, zorder=4,
        )  # fmt: skip


def _dress(axes: "Axes", figure: str, label: str, across: str, floor: float | None) -> None:
    from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

    axes.set_xscale("log")
    if across == "width":
        left, right = axes.get_xlim()
        widths = [4**k for k in range(1, 12) if left <= 4**k <= right]
        axes.set_xticks(widths, list(map(str, widths)), fontsize="small")
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(LogLocator(numticks=9))
    axes.set_title(label)
    axes.set_xlabel("width $M$" if across == "width" else "trained parameters $P$")
    if figure != "effective_dimension":
        axes.set_yscale("log")
    if floor is not None:
        low, high = axes.get_ylim()
        ticks = [tick for tick in axes.get_yticks() if 10 * floor <= tick <= high]
        axes.yaxis.set_major_locator(FixedLocator([floor, *ticks]))
        axes.yaxis.set_minor_locator(NullLocator())
        powers = [f"$10^{{{round(np.log10(tick))}}}$" for tick in ticks]
        axes.set_yticklabels(["0", *powers])
        axes.set_ylim(min(low, floor / 2), high)
        axes.axhline(floor, color="#A0A0A0", linewidth=0.6, zorder=1)
