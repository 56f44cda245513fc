"""How far the kernel moves along training, method by method, beside the limit of the regime."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.errors import InputError
from ntklab.figures.captions import interval
from ntklab.figures.rows import column
from ntklab.figures.style import METHODS, drawing, method_style
from ntklab.records import Record
from ntklab.statistics import grouped, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]
Records = Mapping[str, Record]

#: The regime's limit on ‖K_t − K_0‖ / ‖K_0‖ (see `ntklab.dynamics.regime`).
LIMIT = 0.1
_SETTINGS = "matched"  # of ntklab pair: all methods under one optimizer and batch


def drift_table(records: Records) -> Table:
    """Median and quartiles of the kernel's drift at every logged step.

    Args:
        records: of `ntklab dynamics` and `ntklab pair`, with their arrays.

    Returns:
        Rows with run (what was trained how), method, samples, step, median, low and high of
        ‖K_t − K_0‖ / ‖K_0‖ in the Frobenius norm, seeds.

    Raises:
        InputError: if no record holds a drift.
    """
    table: Table = []
    for record in records.values():
        rows = [r for r in record.results if f"{r.get('cell')}.drift" in record.arrays]
        rows = [r for r in rows if r["settings"] in ("own", _SETTINGS) and r["method"] in METHODS]
        for (method,), members in grouped(rows, "method").items():
            curves = [_curve(record, row["cell"]) for row in members]
            samples = {"samples": members[0].get("samples")}
            for step in sorted(set().union(*curves)):
                quartiles = spread([curve.get(step) for curve in curves])
                named = {"run": _run(record), "method": method, **samples, "step": step}
                table.append(named | quartiles)
    if not table:
        raise InputError("no record holds a drift: make one with  ntklab dynamics --out DIR.")
    return table


def drift_figure(records: Records, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """Relative drift of the kernel over the steps, a panel a way to train, a line a method.

    The dotted line is the limit of the NTK regime; a kernel that does not move at all (a linear
    probe's) stands at the foot of the panel.

    Args:
        records: see `drift_table`.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if no record holds a drift.
    """
    from matplotlib.figure import Figure

    table = drift_table(records)
    runs = list(dict.fromkeys(row["run"] for row in table))
    methods = [name for name in METHODS if any(row["method"] == name for row in table)]
    with drawing(venue, columns=len(runs), height_to_width=1.3 if len(runs) > 1 else 0.8):
        figure = Figure()
        panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
        floor, top = _floor(table), 2 * max(row["high"] for row in table)
        for axes, run in zip(panels, runs, strict=True):
            for method in methods:
                own = [r for r in table if (r["run"], r["method"]) == (run, method)]
                _line(axes, method, own, floor)
            _dress(axes, run, floor, top)
        panels[0].set_ylabel(r"drift $\|K_t-K_0\|_F\,/\,\|K_0\|_F$")
        _legend(figure, methods)
    return figure, table


def drift_caption(records: Records) -> str:
    """The caption, with the largest drift of each way to train."""
    table = drift_table(records)
    sentences = []
    for (run,), rows in grouped(table, "run").items():
        last: dict[str, float] = {}
        for row in rows:
            last[row["method"]] = max(last.get(row["method"], 0.0), row["median"])
        beyond = sum(value > LIMIT for value in last.values())
        seeds, samples = max(row["seeds"] for row in rows), rows[0]["samples"]
        sentences.append(
            f"{run}, N = {samples}, {interval(seeds)}: {beyond} of {len(last)} methods beyond the "
            f"limit, the furthest {max(last.values()):.2g}"
        )
    return (
        "Relative change of the kernel along training, ‖K_t − K_0‖ / ‖K_0‖ in the Frobenius norm. "
        f"Dotted: the limit {LIMIT} beyond which the kernel at the start describes another run. "
        "A kernel that does not move stands on the line marked 0. "
        f"{'. '.join(sentences)}."
    )


def _run(record: Record) -> str:
    config = record.config
    optimizer = {"gd": "gradient descent", "sgd": "SGD", "adam": "Adam"}.get(
        config.get("optimizer", ""), "training"
    )
    alpha = config.get("alpha")
    return f"{optimizer}, α = {alpha:g}" if alpha else optimizer


def _curve(record: Record, cell: str) -> dict[int, float]:
    steps = record.arrays[f"{cell}.step"].astype(int).tolist()
    values = record.arrays[f"{cell}.drift"].tolist()
    return {step: v for step, v in zip(steps, values, strict=True) if step > 0 and np.isfinite(v)}


def _floor(table: Table) -> float:
    """Where kernels that stand still are drawn: a decade below the least that moves."""
    moving = [row["median"] for row in table if row["median"] and row["median"] > 1e-12]
    return 10 ** (np.floor(np.log10(min(moving))) - 1) if moving else 1e-6


def _line(axes: "Axes", method: str, rows: Table, floor: float) -> None:
    style = method_style(method)
    x, middle, low, high = (column(rows, name) for name in ("step", "median", "low", "high"))
    middle, low, high = (np.maximum(values, floor) for values in (middle, low, high))
    axes.fill_between(x, low, high, color=style.colour, alpha=0.13, lw=0)
    axes.plot(
        x, middle, color=style.colour, linestyle=style.line, marker=style.marker, markersize=3,
        clip_on=False,
    )  # fmt: skip


def _dress(axes: "Axes", run: str, floor: float, top: float) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_title(run)
    axes.axhline(LIMIT, color="#404040", linestyle=(0, (1, 1.2)), linewidth=1.0, zorder=2)
    axes.axhline(floor, color="#A0A0A0", linewidth=0.6, zorder=1)
    axes.set_ylim(floor / 1.6, top)
    low, high = np.log10(floor), np.log10(top)
    powers = np.arange(int(low) + 1, int(np.floor(high)) + 1)
    axes.set_yticks(
        [floor, *(10.0 ** int(p) for p in powers)], ["0", *(f"$10^{{{p}}}$" for p in powers)]
    )
    axes.minorticks_off()


def _legend(figure: "Figure", methods: list[str]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for method in methods:
        s = method_style(method)
        handles.append(
            Line2D([], [], color=s.colour, marker=s.marker, linestyle=s.line, label=s.label)
        )
    limit: dict[str, Any] = {"color": "#404040", "linestyle": (0, (1, 1.2))}
    handles.append(Line2D([], [], label="limit of the NTK regime", **limit))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize="small")
