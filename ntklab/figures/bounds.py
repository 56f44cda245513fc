"""Bounds beside what they bound: a panel a method, a line a bound."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.errors import InputError
from ntklab.figures.style import drawing, method_style
from ntklab.records import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]


def bounds_table(record: Record) -> Table:
    """Medians over seeds: a row a method, data condition and bound.

    Returns:
        Rows with data_condition, method, name, equation, form, direction, value and measured
        (medians, None where no seed has one), vacuous (at all seeds), seeds.

    Raises:
        InputError: if the record holds no bounds.
    """
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in record.results:
        if row.get("kind") == "bound":
            key = (row.get("data_condition") or "", row["method"], row["name"])
            groups.setdefault(key, []).append(row)
    if not groups:
        raise InputError("the record holds no bounds: make it with  ntklab bounds.")
    return [
        {
            "data_condition": condition,
            "method": method,
            "name": name,
            **{word: rows[0][word] for word in ("equation", "form", "direction")},
            "value": _median(rows, "value"),
            "measured": _median(rows, "measured"),
            "vacuous": all(row["vacuous"] for row in rows),
            "seeds": len(rows),
        }
        for (condition, method, name), rows in groups.items()
    ]


def bounds_figure(record: Record, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """Each bound (triangle, pointing to the side it bounds) and what it bounds (bar).

    A hollow triangle is vacuous: no better than what holds without any bound. A bound without a
    value, because an assumption fails, is named with a dash.

    Args:
        record: of `ntklab bounds`.
        venue: a name from `ntklab.figures.style.VENUES`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if the record holds no bounds.
    """
    from matplotlib.figure import Figure

    table = bounds_table(record)
    panels = list(dict.fromkeys((row["data_condition"], row["method"]) for row in table))
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    with drawing(venue, columns=columns, height_to_width=1.05 * rows):
        figure = Figure(layout="constrained")
        axes_of = list(figure.subplots(rows, columns, squeeze=False, sharey=False).flat)
        for axes, (condition, method) in zip(axes_of, panels, strict=False):
            lines = [
                row
                for row in table
                if (row["data_condition"], row["method"]) == (condition, method)
            ]
            _panel(axes, method, lines)
            style = method_style(method)
            axes.set_title(f"{style.label}, {condition}" if condition else style.label)
        for axes in axes_of[len(panels) :]:
            axes.remove()
        _legend(figure)
    return figure, table


def _panel(axes: "Axes", method: str, lines: Table) -> None:
    colour = method_style(method).colour
    axes.set_xscale("log")
    names = []
    for place, row in enumerate(lines):
        value, measured = row["value"], row["measured"]
        names.append(f"{row['name']} –" if value is None else row["name"])
        if measured is not None and measured > 0:
            axes.plot([measured], [place], marker="|", markersize=8, color="#000000", zorder=3)
        if value is not None and value > 0:
            marker = "<" if row["direction"] == "upper" else ">"
            face = "white" if row["vacuous"] else colour
            axes.plot(
                [value], [place], marker=marker, markersize=5, color=colour,
                markerfacecolor=face, linestyle="none", zorder=4,
            )  # fmt: skip
            if measured is not None and measured > 0:
                axes.plot([measured, value], [place, place], color=colour, linewidth=0.8)
    axes.set_yticks(range(len(names)), names, fontsize="x-small")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("bound and measured quantity")


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    grey: dict[str, Any] = {"color": "#404040", "linestyle": "none", "markersize": 5}
    handles = [
        Line2D([], [], marker="<", label="upper bound", **grey),
        Line2D([], [], marker=">", label="lower bound", **grey),
        Line2D([], [], marker="<", markerfacecolor="white", label="vacuous", **grey),
        Line2D([], [], marker="|", label="measured", **{**grey, "color": "#000000"}),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize="small")


def _median(rows: Table, name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return float(np.median(values)) if values else None
