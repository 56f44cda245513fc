"""Bounds beside what they bound: a panel a quantity, since quantities share no axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.errors import InputError
from ntklab.figures.captions import sizes_of
from ntklab.figures.rows import need
from ntklab.figures.style import drawing, method_style
from ntklab.records import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Table = list[dict[str, Any]]


@dataclass(frozen=True)
class Quantity:
    """A quantity that some bounds bound, on an axis of its own.

    Attributes:
        name: in the table.
        title: of its panel.
        axis: label of its axis.
        labels: what each bound is called, by its name in records, in the order of the rows.
        trivial: at or above it an upper bound says nothing; None where there is no such value.
        trivial_says: what the line there means.
        relative: whether values are shares of what holds at the start of training.
    """

    name: str
    title: str
    axis: str
    labels: dict[str, str]
    trivial: float | None = None
    trivial_says: str = ""
    relative: bool = False


QUANTITIES = (
    Quantity(
        "complexity", "Rademacher complexity of a ball", r"$R_S$",
        {
            "rademacher-exact": "exact", "rademacher-monte-carlo": "Monte Carlo",
            "rademacher-khintchine": "from below", "rademacher-trace": "trace, eq. 18",
            "rademacher-kappa": r"$\kappa$, eq. 19",
            "rademacher-lambda-min": r"$\lambda_{\min}$, eq. 19",
            "fit": "fit of the labels", "fit-early-stopped": "early-stopped fit",
            "arora-2019": "Arora et al.", "rademacher-local": "local",
        },
        1.0, "no risk bound follows",
    ),
    Quantity(
        "risk", "Risk on new samples", "clipped risk or error rate",
        {
            "fit-risk": "fit, eq. 20", "fit-risk-early-stopped": "early-stopped fit",
            "pac-bayes-kl": "PAC-Bayes",
        },
        1.0, "holds anyway",
    ),
    Quantity(
        "training", "Training residual and loss", "share of the start",
        {
            "flow-lambda-min": r"flow, $\lambda_{\min}$, eq. 10",
            "flow-projected": "flow, projected",
            "flow-modes": "flow, by modes", "descent-contraction": "descent, contraction",
            "descent-envelope": "descent, envelope", "descent-modes": "descent, by modes",
            "cross-entropy-gamma": "cross-entropy",
        },
        1.0, "holds anyway", relative=True,
    ),
    Quantity(
        "eigenvalue", "Largest eigenvalue at the start", r"$\lambda_{\max}(K_0)$",
        {"kernel-growth": "growth, from below"},
    ),
)  # fmt: skip
_OTHER = Quantity("other", "Other bounds", "bound and measured", {})
_ROW, _LEFT = 0.36, 0.8  # inches a row of six methods; share of a row that the methods take


def quantity_of(name: str) -> Quantity:
    """The quantity that a bound of this name bounds.

    Example:
        >>> quantity_of("fit-risk").name, quantity_of("mine").name
        ('risk', 'other')
    """
    return next((q for q in QUANTITIES if name in q.labels), _OTHER)


def bounds_table(record: Record) -> Table:
    """Medians over seeds: a row a method, data condition and bound.

    Returns:
        Rows with data_condition, method, quantity, name, equation, form, direction, value and
        measured (medians, None where no seed has one; shares of the start for the quantity
        `training`), vacuous (at all seeds), seeds.

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
            "quantity": quantity_of(name).name,
            "name": name,
            **{word: rows[0][word] for word in ("equation", "form", "direction")},
            "value": _median(rows, "value", quantity_of(name)),
            "measured": _median(rows, "measured", quantity_of(name)),
            "vacuous": all(row["vacuous"] for row in rows),
            "seeds": len(rows),
        }
        for (condition, method, name), rows in groups.items()
    ]


def bounds_figure(record: Record, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """Each bound (triangle, pointing to the side it bounds) and what it bounds (bar).

    A panel a quantity; in each row of a panel the methods stand below one another, in their
    colours. Hollow: no better than what holds without any bound, or, for a complexity, at least 1,
    from where no risk follows. A dash: no value, because an assumption fails.

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
    conditions = list(dict.fromkeys(row["data_condition"] for row in table))
    columns = _columns(table)
    rows = max(sum(len(names) + 1.2 for _, names in column) for column in columns)
    with drawing(venue, columns=2):
        figure = Figure(layout="constrained")
        width, _ = figure.get_size_inches()
        figure.set_size_inches(width, (_ROW * rows + 0.2) * len(conditions) + 0.5)
        parts = figure.subfigures(len(conditions), 1, squeeze=False)[:, 0]
        for part, condition in zip(parts, conditions, strict=True):
            _condition(part, [r for r in table if r["data_condition"] == condition], columns)
            if len(conditions) > 1:
                part.suptitle(condition)
        _legend(figure, list(dict.fromkeys(row["method"] for row in table)))
    return figure, table


def bounds_caption(record: Record) -> str:
    """The caption, with the number of bounds that are not vacuous."""
    table = bounds_table(record)
    valued = [row for row in table if row["value"] is not None]
    vacuous = sum(_says_nothing(row) for row in valued)
    return (
        "Every bound (triangle, pointing to the side that it bounds) beside what it bounds (bar), "
        f"a panel a quantity, a colour a method. {sizes_of(record)}. Training residuals and losses "
        "are shares of their value at the start. Hollow: no better than what holds without any "
        "bound, or a complexity of at least 1, from which no risk below 1 follows; –: no value, "
        f"because an assumption fails. Of {len(table)} bounds, {len(valued)} have a value, and "
        f"{vacuous} of those are hollow."
    )


def _columns(table: Table) -> list[list[tuple[Quantity, list[str]]]]:
    """Two columns of panels of about equal height, each with the names of its rows."""
    present = list(dict.fromkeys(row["name"] for row in table))
    panels = []
    for quantity in (*QUANTITIES, _OTHER):
        names = [name for name in quantity.labels if name in present]
        names += [n for n in present if quantity is _OTHER and quantity_of(n) is _OTHER]
        if names:
            panels.append((quantity, names))
    columns: list[list[tuple[Quantity, list[str]]]] = [[], []]
    for panel in sorted(panels, key=lambda panel: -len(panel[1])):
        min(columns, key=lambda column: sum(len(names) + 1 for _, names in column)).append(panel)
    return [column for column in columns if column]


def _condition(
    part: "SubFigure", table: Table, columns: Sequence[Sequence[tuple[Quantity, list[str]]]]
) -> None:
    sides = part.subfigures(1, len(columns), squeeze=False)[0]
    for column, side in zip(columns, sides, strict=True):
        heights = [len(names) for _, names in column]
        panels = side.subplots(len(column), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (quantity, names) in zip(panels, column, strict=True):
            _panel(axes, quantity, names, table)


def _panel(axes: "Axes", quantity: Quantity, names: list[str], table: Table) -> None:
    methods = list(dict.fromkeys(row["method"] for row in table))
    axes.set_xscale("linear" if quantity.relative else "log")
    axes.grid(visible=False, axis="y")
    for row in (row for row in table if row["name"] in names):
        offset = _LEFT * ((methods.index(row["method"]) + 0.5) / len(methods) - 0.5)
        _line(axes, row, names.index(row["name"]) + offset)
    if quantity.trivial is not None:
        axes.axvline(quantity.trivial, color="#404040", linewidth=0.7, linestyle=":")
    for edge in range(1, len(names)):
        axes.axhline(edge - 0.5, color="#E4E4E4", linewidth=0.5, zorder=0)
    labels = [quantity.labels.get(name, name) for name in names]
    axes.set_yticks(range(len(names)), labels, fontsize="small")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_title(quantity.title, fontsize="medium")
    says = f"\n(dotted: {quantity.trivial:g}, {quantity.trivial_says})" if quantity.trivial else ""
    axes.set_xlabel(quantity.axis + says, fontsize="small")


def _line(axes: "Axes", row: dict[str, Any], place: float) -> None:
    colour = method_style(row["method"]).colour
    value, measured = row["value"], row["measured"]
    if value is None:
        # Where the axis ends, since it has no place on it.
        at: dict[str, Any] = {
            "transform": axes.get_yaxis_transform(),
            "va": "center",
            "fontweight": "bold",
        }
        axes.text(0.01, place, "–", color=colour, **at)
    if measured is not None and measured > 0:
        axes.plot([measured], [place], marker="|", markersize=4, color="#000000", zorder=5)
    if value is not None and value > 0:
        marker = "<" if row["direction"] == "upper" else ">"
        face = "white" if _says_nothing(row) else colour
        axes.plot(
            [value], [place], marker=marker, markersize=3.5, color=colour,
            markerfacecolor=face, markeredgewidth=0.7, linestyle="none", zorder=4,
        )  # fmt: skip
        if measured is not None and measured > 0:
            axes.plot([measured, value], [place, place], color=colour, linewidth=0.7)


def _says_nothing(row: dict[str, Any]) -> bool:
    """Vacuous as recorded, or a complexity from which no risk below 1 follows."""
    upper = row["direction"] == "upper" and row["value"] is not None
    return row["vacuous"] or (row["quantity"] == "complexity" and upper and row["value"] >= 1)


def _legend(figure: "Figure", methods: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    grey: dict[str, Any] = {"color": "#404040", "linestyle": "none", "markersize": 4.5}
    handles = [
        Line2D([], [], marker="<", label="upper bound", **grey),
        Line2D([], [], marker=">", label="lower bound", **grey),
        Line2D([], [], marker="<", markerfacecolor="white", label="says nothing", **grey),
        Line2D([], [], marker="|", label="measured", **{**grey, "color": "#000000"}),
    ]
    for method in methods:
        style = method_style(method)
        handles.append(Line2D([], [], color=style.colour, linewidth=2.5, label=style.label))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize="small")


def _median(rows: Table, name: str, quantity: Quantity) -> float | None:
    values = [
        row[name] / (row["trivial"] if quantity.relative and row.get("trivial") else 1.0)
        for row in rows
        if row[name] is not None
    ]
    return float(np.median(values)) if values else None
