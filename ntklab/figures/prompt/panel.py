"""The panel of the prompt task: predicted beside measured accuracy, and what ranks methods."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ntklab.errors import InputError
from ntklab.experiments.training.panel import LEAST_METHODS, LEAST_SEEDS, OPTIMIZERS, Panel
from ntklab.figures.captions import seeds_of
from ntklab.figures.rows import need
from ntklab.figures.style import METHODS, MethodStyle, drawing, method_style
from ntklab.records import Record
from ntklab.statistics import mean_interval, spearman

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]

COMMAND = "ntklab pair --task prompt --method all"
_NAMES = {"adam": "Adam", "sgd": "SGD"}
_OTHER = "#808080"
_MARKERS = ("P", "*", "h", "<", ">", "d", "X", "8", "p", "H", "1", "2", "3", "4", "+", "|")

#: Figures of the kernel that are tried as rankings: column -> label, logarithmic axis.
CANDIDATES: dict[str, tuple[str, bool]] = {
    "lambda_min": (r"$\lambda_{\min}$", True),
    "lambda_min_over_mean": (r"$\lambda_{\min}$ / mean", True),
    "centred_lambda_min": (r"$\lambda_{\min}$, centred", True),
    "condition_nonzero": (r"$\lambda_{\max}/\lambda_{\min}^{+}$", True),
    "effective_dimension": ("effective dimension", False),
    "label_alignment": ("alignment of the labels", False),
    "kernel_target_alignment": ("kernel-target alignment", False),
    "log_params": ("ln(parameters)", False),
}


def accuracy_table(record: Record) -> Table:
    """Predicted and measured test accuracy: a row a variant and optimizer.

    Args:
        record: of the panel.

    Returns:
        Rows with variant, method, optimizer, params, seeds, and for predicted and measured the
        mean over seeds with its 95 % interval (Student): predicted, predicted_low, ….

    Raises:
        InputError: if a column is missing.
    """
    need(record, "predicted_accuracy", "accuracy_adam", command=COMMAND)
    panel, table = Panel.of(record), []
    predicted = panel.table("predicted_accuracy")
    for optimizer in OPTIMIZERS:
        measured = panel.table(f"accuracy_{optimizer}")
        for name in (name for name in predicted if name in measured):
            first = panel.first(name)
            row = {"variant": name, "method": first.get("method"), "optimizer": optimizer}
            row |= {"params": first.get("params"), "seeds": len(predicted[name])}
            row |= _ends("predicted", predicted[name]) | _ends("measured", measured[name])
            table.append(row)
    return table


def accuracy_figure(record: Record, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """Predicted against measured test accuracy, a panel an optimizer, one point a variant.

    Bars are 95 % intervals of the mean over seeds. The line is equality, the band two points.

    Args:
        record: of the panel.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if a column is missing.
    """
    from matplotlib.figure import Figure

    table = accuracy_table(record)
    shown = [name for name in OPTIMIZERS if any(row["optimizer"] == name for row in table)]
    styles = panel_styles(table)
    with drawing(venue, columns=max(2, len(shown)), height_to_width=1.35):
        figure = Figure()
        panels = figure.subplots(1, len(shown), squeeze=False, sharex=True, sharey=True)[0]
        for axes, optimizer in zip(panels, shown, strict=True):
            _band(axes, table)
            _points(axes, [row for row in table if row["optimizer"] == optimizer], styles)
            axes.set_title(f"fine-tuned by {_NAMES[optimizer]}")
            axes.set_xlabel("accuracy that the kernel predicts")
        panels[0].set_ylabel("accuracy after fine-tuning")
        _legend(figure, styles)
    return figure, table


def accuracy_caption(record: Record) -> str:
    """The caption, with how many points lie within two of the line."""
    table = accuracy_table(record)
    near = sum(abs(row["predicted"] - row["measured"]) <= 0.02 for row in table)
    return (
        "Test accuracy that the kernel at the start predicts (the way that held-out sentences "
        f"chose) beside that of fine-tuning. {_setting(record)} Means with 95 % intervals "
        f"(Student); the line is equality, the band two points. {near} of {len(table)} means lie "
        "in the band; whether they are the same is decided by paired tests in "
        "`ntklab check kernel_view`."
    )


def ranking_table(record: Record) -> Table:
    """Every candidate figure of the kernel beside measured accuracy (Adam), a row a variant.

    Returns:
        Rows with figure, variant, method, value and accuracy (means over seeds), and rho,
        Spearman's correlation of that figure over variants (None where it ranks nothing, or the
        record has too few methods or seeds for a ranking, see `Panel.ranks`).

    Raises:
        InputError: if a column is missing.
    """
    need(record, "accuracy_adam", command=COMMAND)
    panel, table = Panel.of(record), []
    accuracy = {name: _mean(values) for name, values in panel.table("accuracy_adam").items()}
    for figure in CANDIDATES:
        values = {name: _mean(seeds) for name, seeds in panel.table(figure).items()}
        shared = [name for name in values if name in accuracy]
        rho = None
        if panel.ranks(shared) and len({values[name] for name in shared}) > 1:
            rho = spearman([values[n] for n in shared], [accuracy[n] for n in shared])
        table += [
            {"figure": figure, "variant": name, "method": panel.first(name).get("method")}
            | {"value": values[name], "accuracy": accuracy[name], "rho": rho}
            for name in shared
        ]
    if not table:
        raise InputError(f"no variant has a figure of its kernel: make it with  {COMMAND}.")
    return table


def ranking_figure(record: Record, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """A panel a candidate: the kernel's figure against accuracy, with Spearman's correlation.

    Args:
        record: of the panel.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if a column is missing.
    """
    from matplotlib.figure import Figure

    table = ranking_table(record)
    styles = panel_styles(table)
    with drawing(venue, columns=4, height_to_width=2.9):
        figure = Figure()
        grid = figure.subplots(2, 4, sharey=True)
        for axes, (name, (label, logarithmic)) in zip(grid.flat, CANDIDATES.items(), strict=True):
            _candidate(axes, [r for r in table if r["figure"] == name], styles, logarithmic)
            axes.set_xlabel(label)
        for axes in grid[:, 0]:
            axes.set_ylabel("test accuracy, Adam")
        _legend(figure, styles)
    return figure, table


def ranking_caption(record: Record) -> str:
    """The caption."""
    singular = [
        str(row["variant"])
        for row in ranking_table(record)
        if row["figure"] == "lambda_min" and not row["value"]
    ]
    zero = f" A logarithmic axis cannot show λ_min = 0: {', '.join(singular)}." if singular else ""
    panel = Panel.of(record)
    rho = (
        "Beside each panel Spearman's ρ, without interval here: intervals, tests and the part of "
        "the number of parameters are in `ntklab check thesis_lambda_min`."
    )
    if not panel.ranks(tuple(panel.table("accuracy_adam"))):
        rho = (
            f"No correlation is given of fewer than {LEAST_METHODS} methods (sizes of one count "
            f"once) or {LEAST_SEEDS} seeds."
        )
    return (
        f"Figures of the kernel at the start beside test accuracy of fine-tuning by Adam, one "
        f"point a variant. {_setting(record)} Means over seeds. {rho}{zero}"
    )


def panel_styles(rows: Sequence[Mapping[str, Any]]) -> dict[str, MethodStyle]:
    """A style a variant: our methods in their colours, all others grey with a marker each.

    The first size of a method has the method's marker, further ones others.

    Example:
        >>> styles = panel_styles([{"variant": "lora-r8", "method": "lora"},
        ...                        {"variant": "vera", "method": "peft:vera"}])
        >>> styles["lora-r8"].colour, styles["vera"].colour
        ('#0072B2', '#808080')
    """
    styles: dict[str, MethodStyle] = {}
    mine: list[str] = []
    others = 0
    for row in rows:
        name, method = row["variant"], row["method"]
        if name in styles:
            continue
        if method in METHODS:
            own, sizes = method_style(method), mine.count(method)
            marker = own.marker if not sizes else _MARKERS[sizes - 1]
            styles[name] = MethodStyle(name, own.colour, marker)
            mine.append(method)
        else:
            styles[name] = MethodStyle(name, _OTHER, _MARKERS[others % len(_MARKERS)])
            others += 1
    return styles


def _band(axes: "Axes", rows: Table) -> None:
    """The line of equality and two points on either side of it, over the range of all rows."""
    ends = [row[f"{kind}{end}"] for row in rows for kind in ("predicted", "measured")
            for end in ("_low", "_high") if row[f"{kind}{end}"] is not None]  # fmt: skip
    ends += [row[kind] for row in rows for kind in ("predicted", "measured")]
    low, high = min(ends) - 0.01, max(ends) + 0.01
    axes.fill_between(
        [low, high], [low - 0.02, high - 0.02], [low + 0.02, high + 0.02], color="#F0F0F0", lw=0
    )
    axes.plot([low, high], [low, high], color="#000000", linewidth=0.8)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)


def _points(axes: "Axes", rows: Table, styles: Mapping[str, MethodStyle]) -> None:
    for row in rows:
        style = styles[row["variant"]]
        axes.errorbar(
            row["predicted"], row["measured"], xerr=_bar(row, "predicted"),
            yerr=_bar(row, "measured"), color=style.colour, marker=style.marker, markersize=4,
            linestyle="none", elinewidth=0.5,
        )  # fmt: skip


def _bar(row: Mapping[str, Any], name: str) -> list[list[float]] | None:
    if row[f"{name}_low"] is None:
        return None
    return [[row[name] - row[f"{name}_low"]], [row[f"{name}_high"] - row[name]]]


def _candidate(
    axes: "Axes", rows: Table, styles: Mapping[str, MethodStyle], logarithmic: bool
) -> None:
    for row in rows:
        if logarithmic and row["value"] <= 0:
            continue
        style = styles[row["variant"]]
        axes.plot(
            row["value"], row["accuracy"], marker=style.marker, color=style.colour, markersize=3.5,
            linestyle="none",
        )  # fmt: skip
    positive = [row["value"] for row in rows if row["value"] > 0]
    if logarithmic and positive:
        _logarithmic(axes, max(positive) / min(positive))
    rho = rows[0]["rho"] if rows else None
    text = "no ranking" if rho is None else rf"$\rho = {rho:+.2f}$"
    axes.set_title(text, fontsize="small")


def _logarithmic(axes: "Axes", ratio: float) -> None:
    """A logarithmic axis with few labels, also where it spans less than a decade."""
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

    axes.set_xscale("log")
    subs = (1.0,) if ratio > 30 else (1.0, 3.0)
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=4))
    axes.xaxis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(9, 9)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _legend(figure: "Figure", styles: Mapping[str, MethodStyle]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=s.colour, marker=s.marker, ls="none", markersize=4, label=s.label)
        for s in styles.values()
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=5, fontsize="xx-small",
        handletextpad=0.1, columnspacing=0.8,
    )  # fmt: skip


def _ends(name: str, values: Mapping[int, float]) -> dict[str, float | None]:
    interval = mean_interval(list(values.values()))
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _mean(values: Mapping[int, float]) -> float:
    return sum(values.values()) / len(values)


def _setting(record: Record) -> str:
    """On what: model, shots, seeds, and how much of the panel that is."""
    config, first = record.config, record.results[0]
    model = config.get("model") or first.get("model")
    shots, test = config.get("shots"), config.get("test") or first.get("test_samples")
    return (
        f"{model}, {shots} shots a class, {test} test sentences, {seeds_of(record)} seeds, "
        f"{Panel.of(record).of_the_panel}."
    )
