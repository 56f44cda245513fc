"""The share of each core in the kernel's trace, beside its share of the parameters."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.errors import InputError
from ntklab.figures.captions import sizes_of
from ntklab.figures.rows import need
from ntklab.figures.style import drawing, method_style
from ntklab.records import Record
from ntklab.statistics import grouped, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]

_COMMAND = "ntklab spectrum --per-core"
_LETTERS = {"scalings": "$v", "cores": "$G", "cores1": "$W_1$: $G", "cores2": "$W_2$: $G"}


def cores_table(record: Record) -> Table:
    """A row a core: median share of the trace with quartiles, and share of the parameters.

    Methods with one parameter tensor are left out: its shares are 1.

    Args:
        record: of `ntklab spectrum --per-core`.

    Returns:
        Rows with method, core, params, parameter_share, median, low and high (of the trace's
        share), seeds, rank (median).

    Raises:
        InputError: if the record has no rows of cores.
    """
    need(record, "core", "trace_share", "parameter_share", command=_COMMAND)
    rows = [row for row in record.results if row.get("core") is not None]
    several = {row["method"] for row in rows if row["parameter_share"] < 1}
    groups = grouped((row for row in rows if row["method"] in several), "method", "core")
    if not groups:
        raise InputError("no method of the record has more than one core to compare.")
    return [
        {
            "method": method,
            "core": core,
            "params": members[0]["params"],
            "parameter_share": members[0]["parameter_share"],
            **spread([row["trace_share"] for row in members]),
            "rank": float(np.median([row["rank"] for row in members])),
        }
        for (method, core), members in groups.items()
    ]


def cores_figure(record: Record, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """A line a core: its share of the trace (filled) and of the parameters (hollow).

    Args:
        record: of `ntklab spectrum --per-core`.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if the record has no rows of cores.
    """
    from matplotlib.figure import Figure

    table = cores_table(record)
    methods = list(dict.fromkeys(row["method"] for row in table))
    counts = [sum(row["method"] == method for row in table) for method in methods]
    left = methods[: _half(counts)]
    with drawing(venue, columns=2, height_to_width=1.3):
        figure = Figure()
        parts = [part for part in (left, methods[len(left) :]) if part]
        sides: Any = figure.subfigures(1, len(parts), squeeze=False)[0]
        for side, chosen in zip(sides, parts, strict=True):
            tall = [counts[methods.index(method)] + 0.7 for method in chosen]
            panels = side.subplots(len(chosen), 1, sharex=True, squeeze=False, height_ratios=tall)[
                :, 0
            ]
            for axes, method in zip(panels, chosen, strict=True):
                _panel(axes, method, [row for row in table if row["method"] == method])
            panels[-1].set_xlabel("share of the whole")
        _legend(figure)
    return figure, table


def cores_caption(record: Record) -> str:
    """The caption: the core with most parameters, and its share of the trace."""
    table = cores_table(record)
    heads = []
    for (method,), rows in grouped(table, "method").items():
        row = max(rows, key=lambda share: share["parameter_share"])
        heads.append(
            f"{method_style(method).label} {row['core']} {row['parameter_share']:.0%} and "
            f"{row['median']:.0%}"
        )
    return (
        "Share of each core in the trace of the kernel K = Σ K_k (filled; median and quartiles "
        f"over seeds) beside its share of the parameters (hollow). {_sizes(record)}. The core with "
        f"most parameters holds, of parameters and trace: {'; '.join(heads)}."
    )


def _sizes(record: Record) -> str:
    text = sizes_of(record)
    return text[0].upper() + text[1:]


def _half(counts: list[int]) -> int:
    """How many methods stand on the left, so that both sides have about as many lines."""
    ends = np.cumsum(counts)
    return int(np.argmin(np.abs(2 * ends - ends[-1]))) + 1


def _panel(axes: "Axes", method: str, rows: Table) -> None:
    style = method_style(method)
    for y, row in enumerate(rows):
        ends = [row["parameter_share"], row["median"]]
        axes.plot(ends, [y, y], color=style.colour, linewidth=0.7, alpha=0.6, zorder=2)
        axes.plot(
            [row["low"], row["high"]], [y, y], color=style.colour, linewidth=3, alpha=0.4, zorder=2
        )
        axes.plot(
            row["parameter_share"], y, marker=style.marker, color=style.colour, markersize=4.5,
            markerfacecolor="white", linestyle="none", zorder=3,
        )  # fmt: skip
        axes.plot(
            row["median"], y, marker=style.marker, color=style.colour, markersize=4.5,
            linestyle="none", zorder=4,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [_name(row) for row in rows], fontsize="small")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks((0, 0.25, 0.5, 0.75, 1.0), ("0", "", "½", "", "1"))
    axes.set_title(style.label, loc="left")


def _name(row: dict[str, Any]) -> str:
    stem, _, place = row["core"].partition(".")
    letter = _LETTERS.get(stem, f"${stem}")
    index = f"_{int(place) + 1}" if place else ""
    return f"{letter}{index}$ ({row['params']})"


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    grey: dict[str, Any] = {"color": "#404040", "marker": "o", "markersize": 4.5}
    band: dict[str, Any] = {"color": "#404040", "linewidth": 3, "alpha": 0.4}
    handles = [
        Line2D([], [], linestyle="none", label="of the trace", **grey),
        Line2D([], [], label="its quartiles over seeds", **band),
        Line2D(
            [], [], linestyle="none", markerfacecolor="white", label="of the parameters", **grey
        ),
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, fontsize="small",
        title="core (its parameters): share", title_fontsize="small",
    )  # fmt: skip
