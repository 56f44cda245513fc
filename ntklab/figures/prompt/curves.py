"""Learning curves on the prompt task: predicted from the kernel, and measured."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.errors import InputError
from ntklab.experiments.training.panel import Panel
from ntklab.figures.captions import interval, seeds_of
from ntklab.figures.prompt.panel import COMMAND, panel_styles
from ntklab.figures.rows import column, need
from ntklab.figures.style import drawing
from ntklab.records import Record
from ntklab.statistics import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]

#: The methods that are shown, those first that the record has; with fewer, their other sizes too.
METHODS = ("lora", "tt-delta", "tera", "full", "tensorguide", "tt-lora", "linear-probe")
_COUNT = 4
#: Series -> steps and values among the arrays of the cell that SGD trained.
SERIES = {
    "measured": ("sgd_step", "sgd_test_accuracy"),
    "predicted": ("sgd_step", "predicted_test_accuracy"),
}


def learning_table(record: Record, variants: Sequence[str] | None = None) -> Table:
    """Test accuracy along the steps of SGD, measured and predicted: a row a step.

    Args:
        record: of the panel, read with its arrays.
        variants: which; the first variant of each of four methods if None.

    Returns:
        Rows with variant, method, series, step, median, low and high (quartiles over seeds), seeds.

    Raises:
        InputError: if no variant has both curves.
    """
    need(record, "variant", "accuracy_sgd", command=COMMAND)
    panel = Panel.of(record)
    chosen = list(variants) if variants is not None else _chosen(panel, record)
    table: Table = []
    for name in chosen:
        rows = [row for row in panel.rows if row["variant"] == name]
        for series, (steps, values) in SERIES.items():
            curves = [_curve(record, _cell(row), steps, values) for row in rows]
            curves = [curve for curve in curves if curve]
            for step in sorted(set().union(*curves)):
                table.append(
                    {"variant": name, "method": rows[0].get("method"), "series": series}
                    | {"step": step, **spread([curve.get(step) for curve in curves])}
                )
    if not table:
        raise InputError(
            f"the record holds no curves of predicted test accuracy: make it with  {COMMAND}."
        )
    return table


def learning_figure(record: Record, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """A panel a method: measured test accuracy as markers, predicted as a black line.

    Args:
        record: of the panel, read with its arrays.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if no variant has both curves.
    """
    from matplotlib.figure import Figure

    table = learning_table(record)
    names = list(dict.fromkeys(row["variant"] for row in table))
    styles = panel_styles(table)
    with drawing(venue, columns=max(3, len(names)), height_to_width=1.5):
        figure = Figure()
        panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
        for axes, name in zip(panels, names, strict=True):
            _panel(axes, [row for row in table if row["variant"] == name], styles[name])
            axes.set_xlabel("step of SGD + 1")
        panels[0].set_ylabel("test accuracy")
        _legend(figure)
    return figure, table


def learning_caption(record: Record) -> str:
    """The caption."""
    return (
        "Test accuracy along fine-tuning by SGD (markers) beside linearized training with "
        "cross-entropy from the kernel at the start (black), f_0 kept: gradient flow at the time "
        "step times rate. "
        f"{interval(seeds_of(record)).capitalize()}."
    )


def _chosen(panel: Panel, record: Record) -> list[str]:
    """The first variant with curves of each method, then further ones, in the panel's order."""
    first, further = list[str](), list[str]()
    for method in METHODS:
        rows = [row for row in panel.rows if row.get("method") == method]
        rows = [r for r in rows if f"{_cell(r)}.{SERIES['predicted'][1]}" in record.arrays]
        names = list(dict.fromkeys(row["variant"] for row in rows))
        first, further = first + names[:1], further + names[1:]
    shown = {*[*first, *further][:_COUNT]}
    return [name for name in panel.variants if name in shown]


def _cell(row: Mapping[str, Any]) -> str:
    """The cell of the run by SGD; a row's own where it names no other."""
    return str(row.get("cell_sgd") or row["cell"])


def _curve(record: Record, cell: str, steps: str, values: str) -> dict[int, float]:
    if f"{cell}.{steps}" not in record.arrays or f"{cell}.{values}" not in record.arrays:
        return {}
    at = record.arrays[f"{cell}.{steps}"].astype(int).tolist()
    curve = zip(at, record.arrays[f"{cell}.{values}"].tolist(), strict=True)
    # Test sentences are looked at more rarely than those that decide when to stop.
    return {step: value for step, value in curve if np.isfinite(value)}


def _panel(axes: "Axes", rows: Table, style: Any) -> None:
    looks: dict[str, dict[str, Any]] = {
        "predicted": {"color": "#000000", "linewidth": 1.0},
        "measured": {
            "color": style.colour, "marker": style.marker, "markersize": 3.5, "ls": "none"
        },
    }  # fmt: skip
    for series, look in looks.items():
        part = [row for row in rows if row["series"] == series]
        x = column(part, "step") + 1  # the start has a place on a logarithmic axis
        low, high = column(part, "low"), column(part, "high")
        if series == "measured":
            axes.vlines(x, low, high, color=style.colour, linewidth=1.0, alpha=0.5)
        else:
            axes.fill_between(x, low, high, color="#000000", alpha=0.12, lw=0)
        axes.plot(x, column(part, "median"), **look)
    axes.set_xscale("log")
    axes.set_title(style.label)
    if np.isfinite(column(rows, "median")).all():
        axes.margins(y=0.1)


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color="#808080", marker="o", ls="none", markersize=4, label="measured"),
        Line2D([], [], color="#000000", label="predicted from the kernel at the start"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize="small")
