"""Bounds beside what they bound: a panel a method, a line a bound."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.errors import InputError
from ntklab.figures.captions import sizes_of
from ntklab.figures.rows import need
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
    if record.command == "bounds":
        need(record, "value", "measured", "vacuous", command="ntklab bounds")
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
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if the record holds no bounds.
    """
    from matplotlib.figure import Figure

    table = bounds_table(record)
    names = list(dict.fromkeys(row["name"] for row in table))
    panels = list(dict.fromkeys((row["data_condition"], row["method"]) for row in table))
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    with drawing(venue, columns=columns, height_to_width=(0.4 + 0.066 * len(names)) * rows + 0.2):
        figure = Figure(layout="constrained")
        axes_of = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
        for axes, (condition, method) in zip(axes_of, panels, strict=False):
            lines = [r for r in table if (r["data_condition"], r["method"]) == (condition, method)]
            _panel(axes, method, lines, names)
            style = method_style(method)
            axes.set_title(f"{style.label}, {condition}" if condition else style.label)
        for axes in axes_of[len(panels) :]:
            axes.remove()
        for axes in axes_of[max(0, len(panels) - columns) : len(panels)]:
            axes.set_xlabel("bound and measured", fontsize="small")
        _legend(figure)
    return figure, table


def bounds_caption(record: Record) -> str:
    """The caption, with the number of bounds that are not vacuous."""
    table = bounds_table(record)
    valued = [row for row in table if row["value"] is not None]
    vacuous = sum(row["vacuous"] for row in valued)
    return (
        "Every bound (triangle, pointing to the side that it bounds) beside what it bounds (bar), "
        f"each in its own unit. {sizes_of(record)}. Hollow: vacuous; –: no value, because an "
        f"assumption fails. Of {len(table)} bounds, {len(valued)} have a value, and {vacuous} of "
        "those are vacuous."
    )


def _panel(axes: "Axes", method: str, lines: Table, names: list[str]) -> None:
    colour = method_style(method).colour
    axes.set_xscale("log")
    axes.grid(visible=False, axis="y")
    for row in lines:
        place = names.index(row["name"])
        value, measured = row["value"], row["measured"]
        if value is None:
            axes.text(
                0.03, place, "–", transform=axes.get_yaxis_transform(), va="center", color="#606060"
            )
        if measured is not None and measured > 0:
            axes.plot([measured], [place], marker="|", markersize=6, color="#000000", zorder=3)
        if value is not None and value > 0:
            marker = "<" if row["direction"] == "upper" else ">"
            face = "white" if row["vacuous"] else colour
            axes.plot(
                [value], [place], marker=marker, markersize=4.5, color=colour,
                markerfacecolor=face, linestyle="none", zorder=4,
            )  # fmt: skip
            if measured is not None and measured > 0:
                axes.plot([measured, value], [place, place], color=colour, linewidth=0.8)
    axes.set_yticks(range(len(names)), names, fontsize="x-small")
    axes.set_ylim(len(names) - 0.5, -0.5)


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
