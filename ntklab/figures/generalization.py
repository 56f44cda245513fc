"""Rademacher and generalization bounds beside what was measured: a row a quantity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ntklab.errors import InputError
from ntklab.figures.captions import interval, seeds_of, sizes_of
from ntklab.figures.rows import need
from ntklab.figures.style import METHODS, drawing, method_style
from ntklab.records import Record
from ntklab.statistics import grouped, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]
Records = Mapping[str, Record]


@dataclass(frozen=True)
class Line:
    """One row of the figure: a column of a bound of that name, or of a training record."""

    label: str
    bound: str
    column: str
    measured: bool = False


#: Panel → its rows; what was measured comes first.
PANELS: dict[str, tuple[Line, ...]] = {
    "Rademacher complexity": (
        Line("measured", "rademacher-monte-carlo", "measured", measured=True),
        Line("(18) Khintchine, lower", "rademacher-khintchine", "value"),
        Line("(17) local", "rademacher-local", "value"),
        Line("(18) trace", "rademacher-trace", "value"),
        Line(r"(19) $\kappa=\max_i K_{ii}^{1/2}$", "rademacher-kappa", "value"),
        Line(r"(19) $\lambda_{\min}$", "rademacher-lambda-min", "value"),
    ),
    "risk and gap": (
        Line("gap of loss,\nmeasured", "", "gap", measured=True),
        Line("gap of accuracy,\nmeasured", "", "accuracy_gap", measured=True),
        Line("clipped risk,\nmeasured", "fit-risk", "measured", measured=True),
        Line("error rate,\nPAC-Bayes", "pac-bayes-kl", "value"),
        Line("clipped risk,\n(20) fit", "fit-risk", "value"),
        Line("excess risk,\n(20) Arora et al.", "arora-2019", "value"),
    ),
}
_COMMAND = "ntklab bounds"
_SETTINGS = "matched"
_TRIVIAL = 1.0  # of a risk in [0, 1]
_REACH = 30.0  # a whisker that reaches zero is drawn so many times below its median


def generalization_table(records: Records) -> Table:
    """Medians and quartiles over seeds: a row a quantity and method.

    Args:
        records: `bounds` of `ntklab bounds`; for measured gaps, `pairs-table1` of `ntklab pair`.

    Returns:
        Rows with panel, quantity, measured (is it no bound), method, median, low and high
        (quartiles, None where no seed has a value), seeds, vacuous (at all seeds).

    Raises:
        InputError: if a column is missing.
    """
    record = records["bounds"]
    need(record, "name", "value", "measured", "vacuous", command=_COMMAND)
    bounds = [row for row in record.results if row.get("kind") == "bound"]
    if not bounds:
        raise InputError(f"the record holds no bounds: make it with  {_COMMAND}.")
    runs = _runs(records)
    table: Table = []
    for panel, lines in PANELS.items():
        for line in lines:
            rows = [r for r in bounds if r["name"] == line.bound] if line.bound else runs
            for (method,), members in grouped(rows, "method").items():
                table.append(
                    {
                        "panel": panel,
                        "quantity": line.label,
                        "measured": line.measured,
                        "method": method,
                        **spread([row.get(line.column) for row in members]),
                        "vacuous": not line.measured and all(r.get("vacuous") for r in members),
                    }
                )
    return table


def generalization_figure(records: Records, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """Left the Rademacher complexity of the ball that holds the fit, right risks and gaps.

    Every method has its colour and marker; whiskers are quartiles. A hollow marker is a vacuous
    bound: no better than what holds without any. Bounds without a value are named in their row.

    Args:
        records: see `generalization_table`.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if a column is missing.
    """
    from matplotlib.figure import Figure

    table = generalization_table(records)
    methods = [name for name in METHODS if any(row["method"] == name for row in table)]
    methods += [name for name in dict.fromkeys(r["method"] for r in table) if name not in METHODS]
    with drawing(venue, columns=2, height_to_width=1.35):
        figure = Figure()
        panels = figure.subplots(1, 2)
        for axes, panel in zip(panels, PANELS, strict=True):
            _panel(axes, [row for row in table if row["panel"] == panel], methods)
            axes.set_title(panel)
        panels[0].set_xlabel(r"$\hat{\mathcal{R}}_S$ (no unit)")
        panels[1].set_xlabel("risk, error rate or gap (no unit)")
        panels[1].axvline(_TRIVIAL, color="#404040", linestyle=(0, (1, 1.2)), linewidth=1.0)
        _legend(figure, methods)
    return figure, table


def generalization_caption(records: Records) -> str:
    """The caption: for how many methods each bound is vacuous."""
    table = generalization_table(records)
    silent = []
    for (quantity,), rows in grouped((r for r in table if not r["measured"]), "quantity").items():
        empty = sum(row["vacuous"] or row["median"] is None for row in rows)
        if empty:
            silent.append(f"{_plain(quantity)} for {empty} of {len(rows)}")
    runs = _runs(records)
    gaps = ""
    if runs:
        record = records["pairs-table1"]
        beyond = any(row["low"] <= 0 < row["median"] for row in table if row["median"] is not None)
        arrow = "; an arrow at a whisker reaches zero or below" if beyond else ""
        gaps = (
            f" Measured gaps are those of trained heads ({runs[0].get('loss')} loss, "
            f"{runs[0].get('optimizer')}, N = {runs[0].get('samples')}, "
            f"{interval(seeds_of(record))}): loss on test less training images, accuracy on "
            f"training less test images{arrow}."
        )
    return (
        "Left: empirical Rademacher complexity of the ball of the kernel's space that holds the "
        "fit (Monte Carlo over signs) with its bounds of eqs 17 to 19. Right: risk of the clipped "
        f"loss on new images with bounds of eq 20 and PAC-Bayes. {sizes_of(records['bounds'])}."
        f"{gaps} Hollow: vacuous, beyond what holds without any bound (dotted: 1 for a risk). "
        f"Vacuous or without a value: {'; '.join(silent) or 'none'}."
    )


def _runs(records: Records) -> Table:
    record = records.get("pairs-table1")
    if record is None:
        return []
    need(record, "gap", "accuracy_gap", command="ntklab pair")
    rows = [row for row in record.results if row.get("method") in METHODS]
    matched = [row for row in rows if row.get("settings") == _SETTINGS]
    return matched or rows


def _panel(axes: "Axes", rows: Table, methods: Sequence[str]) -> None:
    axes.set_xscale("log")
    quantities = list(dict.fromkeys(row["quantity"] for row in rows))
    step = 0.8 / max(len(methods), 2)
    for y, quantity in enumerate(quantities):
        absent = []
        for row in (row for row in rows if row["quantity"] == quantity):
            place = y + (methods.index(row["method"]) - (len(methods) - 1) / 2) * step
            if row["median"] is None or row["median"] <= 0:
                absent.append(method_style(row["method"]).label)
                continue
            _mark(axes, row, place)
        if absent:
            none = len(absent) == len(methods)
            text = "none has a value" if none else f"no value for {', '.join(absent)}"
            axes.text(
                0.03, y, text, transform=axes.get_yaxis_transform(),
                ha="left", va="center", fontsize="x-small", color="#606060",
            )  # fmt: skip
        if y:
            axes.axhline(y - 0.5, color="#D0D0D0", linewidth=0.5)
    axes.set_yticks(range(len(quantities)), quantities, fontsize="small")
    axes.set_ylim(len(quantities) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _mark(axes: "Axes", row: Mapping[str, Any], y: float) -> None:
    style = method_style(row["method"])
    low, high = row["low"], row["high"]
    end = low if low > 0 else row["median"] / _REACH
    axes.plot([end, high], [y, y], color=style.colour, linewidth=0.8)
    if low <= 0:  # what reaches zero leaves a logarithmic axis: an arrow says so
        axes.plot(end, y, marker="<", color=style.colour, markersize=3, linestyle="none")
    # a cross has no inside: hollow, it is drawn as an outlined one
    marker = "X" if row["vacuous"] and style.marker == "x" else style.marker
    axes.plot(
        row["median"], y, marker=marker, color=style.colour, markersize=4, linestyle="none",
        markerfacecolor="white" if row["vacuous"] else style.colour, markeredgewidth=0.9,
    )  # fmt: skip


def _legend(figure: "Figure", methods: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for method in methods:
        style = method_style(method)
        handles.append(
            Line2D(
                [], [], color=style.colour, marker=style.marker, linestyle="none", label=style.label
            )
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize="small",
                  handletextpad=0.1, columnspacing=1.0)  # fmt: skip


def _plain(label: str) -> str:
    words = {r"(19) $\kappa=\max_i K_{ii}^{1/2}$": "(19) κ", r"(19) $\lambda_{\min}$": "(19) λ_min"}
    return words.get(label, label.replace("\n", " "))
