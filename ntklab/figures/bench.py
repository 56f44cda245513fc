"""The cost of kernels: bars of every contender beside the floor, and cost curves of J."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.errors import InputError
from ntklab.figures.style import drawing
from ntklab.records import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]

# Ours in orange, the tutorial in black, other libraries in grey (Okabe and Ito's colours).
_OURS, _TUTORIAL, _OTHERS, _FLOOR = "#D55E00", "#404040", "#A8A8A8", "#0072B2"
_OUR_NAMES = ("structured", "jacrev", "vjp-jvp", "loop")
_AXES = {
    "N": "samples $N$",
    "M": "hidden width $M$",
    "C": "outputs $C$",
    "P": "parameters $P$",
}
_CURVE_STYLES = (("#D55E00", "^", "-"), ("#0072B2", "o", "--"), ("#009E73", "s", ":"))


def bench_table(record: Record) -> Table:
    """The rows that the figure shows: contenders that ran, and the points of the curves.

    Raises:
        InputError: if the record holds neither.
    """
    names = (
        *("kind", "case", "contender", "axis", "value", "seconds", "seconds_min", "runs"),
        *("floor_asked_seconds", "floor_traffic_seconds"),
    )
    table = [
        {name: row.get(name) for name in names}
        for row in record.results
        if row.get("kind") in ("kernel", "point") and row.get("seconds") is not None
    ]
    if not table:
        raise InputError("the record holds no times of kernels or curves: run ntklab bench.")
    return table


def bench_figure(record: Record, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """Median seconds of each contender, a panel a case, and of the Jacobian, a panel an axis.

    The line across a panel is the floor: the multiply-adds of the cheapest known contraction at
    the rate of a matrix product measured among the contenders.

    Args:
        record: of `ntklab bench`.
        venue: a name from `ntklab.figures.style.VENUES`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if the record holds no times.
    """
    from matplotlib.figure import Figure

    table = bench_table(record)
    cases = _values([row for row in table if row["kind"] == "kernel"], "case")
    axes_shown = _values([row for row in table if row["kind"] == "point"], "axis")
    columns = 2
    count = len(cases) + len(axes_shown)
    rows = -(-count // columns)
    with drawing(venue, columns=columns, height_to_width=0.62 * rows):
        figure = Figure(layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, case in zip(panels, cases, strict=False):
            _bars(axes, [row for row in table if row["case"] == case])
            axes.set_title(case)
        for axes, name in zip(panels[len(cases) :], axes_shown, strict=False):
            _curves(axes, name, [row for row in table if row["axis"] == name], record)
        for axes in panels[count:]:
            axes.remove()
        handles, labels = panels[0].get_legend_handles_labels()
        if cases and handles:
            figure.legend(handles[:1], labels[:1], loc="outside lower center")
    return figure, table


def _bars(axes: "Axes", rows: Table) -> None:
    """One horizontal bar a contender, the fastest on top."""
    ordered = sorted(rows, key=lambda row: -row["seconds"])
    names = [row["contender"] for row in ordered]
    seconds = [row["seconds"] for row in ordered]
    axes.barh(names, seconds, color=[_colour(row["contender"]) for row in ordered], height=0.7)
    axes.set_xscale("log")
    floor = next((row["floor_asked_seconds"] for row in ordered), None)
    if floor is not None:
        axes.axvline(floor, color=_FLOOR, linestyle="--", linewidth=1.0, label="floor")
    shown = [*seconds, *([] if floor is None else [floor])]
    axes.set_xlim(0.5 * min(shown), 2 * max(shown))
    _tick(axes.xaxis, shown)
    axes.set_xlabel("seconds")
    axes.grid(visible=False, axis="y")


def _curves(axes: "Axes", name: str, rows: Table, record: Record) -> None:
    fits = {row["case"]: row for row in record.results if row.get("kind") == "fit"}
    for case, (colour, marker, line) in zip(_values(rows, "case"), _CURVE_STYLES, strict=False):
        points = [row for row in rows if row["case"] == case]
        label = case.partition("-")[2] or case
        if case in fits:
            fit = fits[case]
            label += f": {fit['exponent']:.2f} ± {fit['exponent_error']:.2f}"
        axes.plot(
            np.array([row["value"] for row in points]),
            np.array([row["seconds"] for row in points]),
            color=colour, marker=marker, linestyle=line, markersize=4, label=label,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    _tick(axes.xaxis, [row["value"] for row in rows])
    _tick(axes.yaxis, [row["seconds"] for row in rows])
    axes.set_ylim(top=6 * max(row["seconds"] for row in rows))  # room for the legend
    axes.set_xlabel(_AXES[name])
    axes.set_ylabel("Jacobian, seconds")
    axes.legend(loc="upper left", fontsize="x-small", title="power")


def _tick(axis: "Axis", values: Sequence[float]) -> None:
    """Plain numbers at powers of ten, and at 2 and 5 times them where there is no power between."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    few = max(values) < 10 * min(values)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _colour(contender: str) -> str:
    if contender.startswith("tutorial"):
        return _TUTORIAL
    return _OURS if contender.startswith(_OUR_NAMES) else _OTHERS


def _values(rows: Sequence[dict[str, Any]], name: str) -> list[str]:
    return list(dict.fromkeys(row[name] for row in rows))
