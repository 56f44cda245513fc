"""Predicted beside measured training loss of every method, with the certificate on each panel."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.dynamics import DRIFT_LIMIT, LINEARIZATION_LIMIT
from ntklab.errors import InputError
from ntklab.figures.captions import interval, seeds_of
from ntklab.figures.rows import column, need
from ntklab.figures.style import drawing, method_style
from ntklab.records import Record
from ntklab.statistics import grouped, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]
Records = Mapping[str, Record]

_COMMAND = "ntklab dynamics"
#: Series → array of the record.
SERIES = {
    "measured": "train_loss",
    "linearized": "predicted_loss",
    "envelope": "lambda_min_envelope",
}
_ROUNDING = 1e-12  # of a loss relative to its start, float64 over some hundred steps
_BOTH = ("measured", "linearized")
# Of the loss at the start: curves this close look like one at the size of a panel.
_COINCIDE = 0.1
_ROOM = 2.3  # of losses at the start, the stamp above; what diverges leaves the panel
_YES, _NO = "#009E73", "#B03A00"


def prediction_curves(records: Records) -> Table:
    """Measured loss, linearized training and eq 10's envelope along the steps.

    Args:
        records: of `ntklab dynamics`, one a method, with their arrays.

    Returns:
        Rows with method, alpha, series ("measured", "linearized", "envelope"), step, median, low
        and high (quartiles over seeds) of the loss over its value at the start, seeds,
        in_regime (how many seeds the certificate admits), drift and linearization_error (medians
        over seeds of their largest values), loss_gap (median over seeds of the largest |measured
        − linearized| loss, over the loss at the start).

    Raises:
        InputError: if a record has no certificate or no prediction.
    """
    table: Table = []
    for record in records.values():
        need(record, "ntk_regime", "drift_max", "linearization_error_max", command=_COMMAND)
        for (method,), rows in grouped(record.results, "method").items():
            certificate = _certificate(rows) | {"loss_gap": _loss_gap(record, rows)}
            for series, name in SERIES.items():
                curves = [_relative(record, row["cell"], name) for row in rows]
                steps = np.unique(np.concatenate([list(curve) for curve in curves]))
                table += [
                    {"method": method, "alpha": record.config.get("alpha"), "series": series}
                    | {"step": int(step)}
                    | spread([curve.get(int(step)) for curve in curves])
                    | certificate
                    for step in steps
                ]
    return table


def prediction_figure(records: Records, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """A panel a method: measured loss as markers, linearized training black, eq 10 dashed.

    The stamp in each panel is the certificate of the NTK regime: for how many seeds the kernel at
    the start describes training, and each figure beside its limit. Where it says no although the
    curves coincide, it says why: the losses agree, the outputs do not. Losses are divided by the
    loss at the start.

    Args:
        records: of `ntklab dynamics`, one a method.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if a record has no certificate or no prediction.
    """
    from matplotlib.figure import Figure

    table = prediction_curves(records)
    methods = list(dict.fromkeys(row["method"] for row in table))
    columns = min(3, len(methods))
    lines = -(-len(methods) // columns)
    with drawing(venue, columns=columns, height_to_width=0.92 * lines + 0.25):
        figure = Figure()
        panels = list(figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).flat)
        for axes, method in zip(panels, methods, strict=False):
            _panel(axes, method, [row for row in table if row["method"] == method])
        for axes in panels[len(methods) :]:
            axes.remove()
        for axes in panels[max(0, len(methods) - columns) : len(methods)]:
            axes.set_xlabel("step + 1")
            axes.tick_params(labelbottom=True)
        for axes in panels[: len(methods) : columns]:
            axes.set_ylabel("loss / loss at start")
        _legend(figure)
    return figure, table


def prediction_caption(records: Records) -> str:
    """The caption, with the number of runs that the certificate admits."""
    rows = [row for record in records.values() for row in record.results]
    first = next(iter(records.values()))
    inside = sum(bool(row["ntk_regime"]) for row in rows)
    config = first.config
    alpha = config.get("alpha")
    lazy = f" of the lazy parameterization (α = {alpha:g})" if alpha else ""
    gone = sum(bool(row.get("diverged")) for row in rows)
    broken = f" {gone} of the runs diverged." if gone else ""
    return (
        f"Training loss measured under gradient descent{lazy} beside linearized training (black) "
        "and the envelope exp(−2 λ_min t) of eq 10 (dashed), over the loss at the start. "
        f"{first.results[0]['task']}, N = {config['samples']} samples, {config['loss']} loss, step "
        f"size half the stability limit, {interval(seeds_of(first))}. Each panel is stamped with "
        "the certificate of the NTK regime: drift of the kernel, and the share of the outputs' "
        "movement that the linearization misses, each beside its limit. The loss is one number of "
        "many outputs, so that it can agree where they do not. The certificate holds for "
        f"{inside} of {len(rows)} runs; elsewhere the prediction describes another run.{broken}"
    )


def _certificate(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    inside = sum(bool(row["ntk_regime"]) for row in rows)
    return {
        "in_regime": f"{inside} of {len(rows)}",
        "drift": spread([row["drift_max"] for row in rows])["median"],
        "linearization_error": spread([row["linearization_error_max"] for row in rows])["median"],
    }


def _relative(record: Record, cell: str, name: str) -> dict[int, float | None]:
    if f"{cell}.{name}" not in record.arrays:
        raise InputError(
            f"the record has no '{name}' of cell {cell}: make it with  {_COMMAND} --out DIR."
        )
    steps = record.arrays[f"{cell}.step"].astype(int).tolist()
    start = float(record.arrays[f"{cell}.train_loss"][0])
    values = (record.arrays[f"{cell}.{name}"] / start).tolist()
    return {s: v if np.isfinite(v) else None for s, v in zip(steps, values, strict=True)}


def _panel(axes: "Axes", method: str, rows: Table) -> None:
    style = method_style(method)
    parts = {name: [row for row in rows if row["series"] == name] for name in SERIES}
    looks: dict[str, dict[str, Any]] = {
        "envelope": {"color": "#606060", "linestyle": (0, (4, 2)), "linewidth": 0.9},
        "linearized": {"color": "#000000", "linestyle": "-", "linewidth": 1.0},
        "measured": {
            "color": style.colour,
            "marker": style.marker,
            "markersize": 3.5,
            "ls": "none",
        },
    }
    for name, look in looks.items():
        x = column(parts[name], "step") + 1  # the start has a place on a logarithmic axis
        low, high = column(parts[name], "low"), column(parts[name], "high")
        if name == "measured":
            axes.vlines(x, low, high, color=style.colour, linewidth=1.0, alpha=0.5)
        else:
            axes.fill_between(x, low, high, color=look["color"], alpha=0.12, lw=0)
        axes.plot(x, column(parts[name], "median"), **look)
    axes.set_xscale("log")
    axes.set_ylim(0, _ROOM)
    axes.set_yticks((0, 0.5, 1))
    axes.set_title(style.label)
    _stamp(axes, rows[0])


def _stamp(axes: "Axes", row: Mapping[str, Any]) -> None:
    inside, runs = map(int, row["in_regime"].split(" of "))
    colour = _YES if inside == runs else _NO
    axes.text(
        0.04, 0.96, stamp_of(row), transform=axes.transAxes, fontsize="x-small", color=colour,
        va="top", zorder=5, linespacing=1.15,
        bbox={"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": colour, "lw": 0.8},
    )  # fmt: skip


def stamp_of(row: Mapping[str, Any]) -> str:
    """The certificate in three or four short lines: each figure beside its limit.

    Example:
        >>> row = {"in_regime": "0 of 5", "drift": 1.2, "linearization_error": 0.66}
        >>> print(stamp_of(row | {"loss_gap": 0.03}))
        NTK regime: no
        kernel drift 1.2 > 0.1
        outputs miss 0.66 > 0.1
        losses agree to 0.03 all the same
    """
    inside, runs = map(int, row["in_regime"].split(" of "))
    word = "yes" if inside == runs else "no" if inside == 0 else f"{inside} of {runs} runs"
    lines = [
        f"NTK regime: {word}",
        f"kernel drift {_beside_limit(row['drift'], DRIFT_LIMIT)}",
        f"outputs miss {_beside_limit(row['linearization_error'], LINEARIZATION_LIMIT)}",
    ]
    if inside < runs and row["loss_gap"] is not None and row["loss_gap"] <= _COINCIDE:
        lines.append(f"losses agree to {row['loss_gap']:.1g} all the same")
    return "\n".join(lines)


def _beside_limit(value: float, limit: float) -> str:
    if 0 < value <= _ROUNDING:
        return _told(value)
    sign = "≤" if value <= limit else ">"
    return f"{_told(value)} {sign} {limit:g}"


def _loss_gap(record: Record, rows: list[Mapping[str, Any]]) -> float | None:
    gaps = []
    for row in rows:
        measured, linear = (_relative(record, row["cell"], SERIES[s]) for s in _BOTH)
        pairs = [(measured[step], linear.get(step)) for step in measured]
        known = [abs(a - b) for a, b in pairs if a is not None and b is not None]
        gaps.append(max(known) if len(known) == len(pairs) else float("inf"))
    middle = spread(gaps)["median"]
    return middle if middle is not None and np.isfinite(middle) else None


def _told(value: float) -> str:
    """Two digits; what only rounding can have left is not shown as a result."""
    return f"{value:.2g}" if value == 0 or value > _ROUNDING else f"< {_ROUNDING:.0e}"


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color="#808080", marker="o", ls="none", markersize=4, label="measured"),
        Line2D([], [], color="#000000", label="linearized training"),
        Line2D([], [], color="#606060", ls=(0, (4, 2)), label=r"eq. 10, $e^{-2\lambda_{\min}t}$"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize="small")
