"""Eqs 7–9 over the width: what is promised as lines, what was measured as markers."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.errors import InputError
from ntklab.figures.style import drawing, scale_styles
from ntklab.records import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]

_EXACT = 1e-9
_LINEAR_AXIS = ("tt-svd", "head tt-svd", "head accuracy")  # shares, between 0 and about 1
_DENSE, _LINEAR = "#000000", "#808080"

#: Panel → target, title, label of the y axis. A panel without numbers is left out.
PANELS: dict[str, tuple[str, str, str]] = {
    "error": ("barron", "(7) error of trained networks", r"$\|h-f\|\,/\,\|h\|$"),
    "tt-svd": ("barron", "(8) TT-SVD of the dense net", r"$\varepsilon_{TT}\,/\,\|w\|$"),
    "function": ("barron", "(8) function after truncation", r"$\|f-\hat f\|\,/\,\|h\|$"),
    "sum": ("barron", "(9) both terms together", r"$\|h-f\|\,/\,\|h\|$"),
    "head tt-svd": ("dense-head", "(8) TT-SVD of dense heads", r"$\varepsilon_{TT}\,/\,\|w\|$"),
    "head accuracy": ("dense-head", "dense, truncated, adapter", "test accuracy"),
}


def approximation_table(record: Record) -> Table:
    """Medians over seeds behind the figure: one row a point of a line.

    Returns:
        Rows with panel, series ("measured" or "bound" or "lower" …), network, tt_ranks, width,
        value (median over seeds), low and high (least and largest), seeds.

    Raises:
        InputError: if the record is of another command.
    """
    points: dict[tuple[Any, ...], list[float]] = {}
    for row in record.results:
        for panel, series, network, value in _points(row):
            if value is not None:
                key = (panel, series, network, row.get("tt_ranks"), row["width"])
                points.setdefault(key, []).append(value)
    if not points:
        raise InputError("the record holds no approximation curves: make it with  ntklab approx.")
    names = ("panel", "series", "network", "tt_ranks", "width")
    order = list(PANELS)
    table = [
        {
            **dict(zip(names, key, strict=True)),
            "value": float(np.median(values)),
            "low": min(values),
            "high": max(values),
            "seeds": len(values),
        }
        for key, values in points.items()
    ]
    return sorted(table, key=lambda row: (order.index(row["panel"]), row["width"]))


def slope(record: Record, network: str, *, widths: tuple[int, int] | None = None) -> float | None:
    """Least-squares slope of ln error against ln M of one network on the Barron target.

    Eq 7 promises −1/2 for nonlinear networks, and nothing for linear ones.

    Args:
        record: of `ntklab approx`.
        network: "dense", "linear", or the TT-ranks of an adapter.
        widths: least and largest width of the fit; all if None.

    Returns:
        The slope, or None with fewer than two widths.
    """
    pairs = [
        (row["width"], row["value"])
        for row in approximation_table(record)
        if row["panel"] == "error"
        and row["series"] == "measured"
        and network in (row["network"], row["tt_ranks"])
        and (widths is None or widths[0] <= row["width"] <= widths[1])
    ]
    if len({width for width, _ in pairs}) < 2:
        return None
    x, y = np.log(np.array(pairs)).T
    return float(np.polyfit(x, y, 1)[0])


def approximation_caption(record: Record) -> str:
    """The caption with the numbers of this record: one paragraph."""
    sentences = [
        "Lines are bounds or, where they carry markers, measurements; medians over "
        f"{len(record.config['seeds'])} seed(s), bands of measured values from least to largest."
    ]
    barron = record.config.get("barron")
    if barron:
        sentences.append(
            f"Barron target in {barron['features']} dimensions, N = {barron['samples']}, "
            f"{barron['steps']} steps of Adam, errors on fresh samples relative to ||h||, where 1 "
            "is the zero function."
        )
        for network in ("dense", "linear"):
            exponent = slope(record, network)
            if exponent is not None:
                sentences.append(f"Slope of the {network} head's error: {exponent:.2f}.")
    for target in ("barron", "dense-head"):
        errors = _range(record, target, "relative_error")
        if errors:
            sentences.append(
                f"Relative TT-SVD error ({target}): {errors[0]:.2f} to {errors[1]:.2f}."
            )
    return " ".join(sentences)


def approximation_figure(record: Record, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """A panel a family of terms, the width M on a logarithmic axis, a colour a vector of TT-ranks.

    Measured values carry markers; bounds are thin lines without. Dense heads are black, linear
    ones grey. An error at rounding, where a train holds the weights exactly, has no place on a
    logarithmic axis and is left to the table. Bands reach from the least to the largest seed.

    Args:
        record: of `ntklab approx`.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if the record is of another command.
    """
    from matplotlib.figure import Figure

    table = approximation_table(record)
    shown = [name for name in PANELS if any(row["panel"] == name for row in table)]
    ranks = list(dict.fromkeys(row["tt_ranks"] for row in table if row["tt_ranks"]))
    rows = math.ceil(len(shown) / 2)
    with drawing(venue, columns=2, height_to_width=0.68 * rows + 0.18):
        figure = Figure(layout="constrained")
        panels = list(figure.subplots(rows, 2, squeeze=False).flat)
        for axes, name in zip(panels, shown, strict=False):
            _panel(axes, name, [row for row in table if row["panel"] == name], ranks)
        for axes in panels[len(shown) :]:
            axes.remove()
        _legend(figure, ranks)
    return figure, table


def _points(row: dict[str, Any]) -> list[tuple[str, str, str, float | None]]:
    """(panel, series, network, value) of one row of a record."""
    kind, target = row.get("kind"), row.get("target")
    if target == "barron":
        part = _over(row, "target_rms")
        if kind == "truncation":
            return [
                ("tt-svd", "measured", "truncated", row["relative_error"]),
                ("tt-svd", "lower", "truncated", row["relative_error_lower"]),
                ("tt-svd", "upper", "truncated", row["relative_error_upper"]),
                ("function", "measured", "truncated", part("function_error")),
                ("function", "upper", "truncated", part("function_bound")),
                ("sum", "measured", "adapter", part("adapter_error")),
                ("sum", "upper", "adapter", part("sum_bound")),
            ]
        curves = [("error", "measured", str(kind), part("test_error"))]
        return [*curves, ("error", "upper", str(kind), part("barron_bound"))]
    if target == "dense-head":
        if kind == "truncation":
            return [
                ("head tt-svd", "measured", "truncated", row["relative_error"]),
                ("head tt-svd", "lower", "truncated", row["relative_error_lower"]),
                ("head tt-svd", "upper", "truncated", row["relative_error_upper"]),
                ("head accuracy", "truncated", "truncated", row["accuracy_after"]),
            ]
        return [("head accuracy", "measured", str(kind), row["test_accuracy"])]
    return []


def _over(row: dict[str, Any], scale: str) -> Callable[[str], float | None]:
    def part(name: str) -> float | None:
        value = row.get(name)
        return None if value is None else value / row[scale]

    return part


def _panel(axes: "Axes", name: str, table: Table, ranks: Sequence[str]) -> None:
    for key in dict.fromkeys((row["series"], row["network"], row["tt_ranks"]) for row in table):
        series, network, words = key
        line = [row for row in table if (row["series"], row["network"], row["tt_ranks"]) == key]
        width = np.array([row["width"] for row in line])
        value = np.array([row["value"] for row in line])
        if name not in _LINEAR_AXIS:  # what a train holds exactly has no logarithm
            value = np.where(value > _EXACT, value, np.nan)
        style = _style(series, network, words, ranks)
        axes.plot(width, value, **style)
        if series == "measured" and line[0]["seeds"] > 1:
            low, high = (np.array([row[end] for row in line]) for end in ("low", "high"))
            axes.fill_between(width, low, high, color=style["color"], alpha=0.15, lw=0)
    axes.set_xscale("log", base=2)
    if name not in _LINEAR_AXIS:
        axes.set_yscale("log")
    elif name != "head accuracy":
        axes.set_ylim(0, None)
    _, title, label = PANELS[name]
    axes.set_title(title)
    axes.set_xlabel("hidden width $M$")
    axes.set_ylabel(label)
    if name in ("error", "sum"):
        axes.axhline(1.0, color="#808080", linewidth=0.6, linestyle=(0, (1, 1)))


def _style(series: str, network: str, words: str | None, ranks: Sequence[str]) -> dict[str, Any]:
    if words is None:
        colour = _LINEAR if network == "linear" else _DENSE
        marker = "x" if network == "linear" else "*"
    else:
        own = scale_styles(ranks)[words]
        colour, marker = own.colour, own.marker
    if series in ("lower", "upper"):
        line = "--" if series == "upper" else ":"
        return {"color": colour, "linestyle": line, "linewidth": 0.7}
    hollow = {"markerfacecolor": "white"} if series == "truncated" else {}
    stroke = (0, (3, 1, 1, 1)) if series == "truncated" else "-"
    return {"color": colour, "marker": marker, "markersize": 4, "linestyle": stroke, **hollow}


def _legend(figure: "Figure", ranks: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], label="dense head", **_style("measured", "dense", None, ranks)),
        Line2D([], [], label="linear head", **_style("measured", "linear", None, ranks)),
        *(
            Line2D([], [], label=f"TT-ranks {words}", **_style("measured", "adapter", words, ranks))
            for words in ranks
        ),
        Line2D([], [], label="truncated", **_style("truncated", "truncated", None, ranks)),
        Line2D([], [], color="#404040", linestyle="--", linewidth=0.7, label="upper bound"),
        Line2D([], [], color="#404040", linestyle=":", linewidth=0.7, label="lower bound"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize="small")


def _range(record: Record, target: str, name: str) -> tuple[float, float] | None:
    values = [
        row[name]
        for row in record.results
        if row.get("target") == target and row.get(name) is not None
    ]
    return (min(values), max(values)) if values else None
