"""Training drawn from records: curves of many runs, and one run beside its prediction."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.errors import InputError
from ntklab.figures.style import METHODS, MethodStyle, drawing, method_style
from ntklab.records import Record
from ntklab.statistics import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]

_DENSE = MethodStyle("dense head", "#56B4E9", "P", (0, (1, 1)))
# Variants of one method differ in one number: one colour map, dark is small.
_MAP = "viridis"
_MARKERS = ("o", "s", "^", "D", "v", "P", "*", "X")
# Eq 10 bounds the residual by e^(−λt): the squared loss falls at twice that rate.
_ENVELOPES = {
    "squared": r"eq. 10, $e^{-2\lambda_{\min}t}$",
    "cross-entropy": r"eq. 10 as printed, $e^{-\lambda_{\min}t}$",
}
_PANELS = (("train_loss", "training loss"), ("test_accuracy", "test accuracy"))
# Width of the strip of final quartiles beside a panel, as a share of it.
_STRIP = 0.22
#: Loss axes end here, in starting losses: the first steps of a dense head would hide all others.
LOSS_ROOM = 1.5


def curves_table(record: Record) -> Table:
    """The curves behind the figure: medians and quartiles over seeds at every logged step.

    Args:
        record: of `ntklab pair` or `ntklab train`, with its arrays.

    Returns:
        Rows with settings, variant, figure (`train_loss`, `test_accuracy`), step, epoch, median,
        low and high (first and third quartile over the seeds that reached the step), seeds,
        in_regime.

    Raises:
        InputError: if the record holds no curves.
    """
    table: Table = []
    for (settings, variant), rows in _groups(record).items():
        inside = f"{sum(bool(row['ntk_regime']) for row in rows)} of {len(rows)}"
        for figure, _ in _PANELS:
            curves = [_curve(record, row["cell"], figure) for row in rows]
            for step, epoch in _steps(record, rows):
                table.append(
                    {
                        **{"settings": settings, "variant": variant, "figure": figure},
                        **{"step": step, "epoch": epoch},
                        **spread(curve.get(step) for curve in curves),
                        "in_regime": inside,
                    }
                )
    return table


def curves_figure(record: Record, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """Training loss and test accuracy along the epochs, a row of panels a setting (Figs 4-6).

    Lines are medians over seeds. Bands of several methods would hide one another, so that the
    quartiles stand where they are read, at the end, a bar a method beside each panel. The last
    line of the figure is the regime's verdict: how many runs the kernel at the start describes.

    Args:
        record: of `ntklab pair` or `ntklab train`, read with its arrays.
        venue: a name from `ntklab.figures.style.VENUES`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if the record holds no curves.
    """
    from matplotlib.figure import Figure

    table = curves_table(record)
    settings = list(dict.fromkeys(row["settings"] for row in table))
    styles = variant_styles(list(dict.fromkeys(row["variant"] for row in table)))
    with drawing(venue, columns=2, height_to_width=0.7 * len(settings) + 0.35):
        figure = Figure()
        widths = (1, _STRIP, 1, _STRIP)
        grid = figure.subplots(len(settings), 4, squeeze=False, width_ratios=widths)
        for panels, setting in zip(grid, settings, strict=True):
            for place, (name, label) in enumerate(_PANELS):
                axes, strip = panels[2 * place : 2 * place + 2]
                rows = [r for r in table if (r["settings"], r["figure"]) == (setting, name)]
                _curves(axes, rows, styles)
                _ends(strip, rows, styles)
                if name == "train_loss":
                    start = max(row["median"] for row in rows if row["step"] == 0)
                    axes.set_ylim(0, min(axes.get_ylim()[1], LOSS_ROOM * start))
                strip.set_ylim(axes.get_ylim())
                axes.set_title(f"{label}, {setting} settings")
        for axes, strip in zip(grid[-1, ::2], grid[-1, 1::2], strict=True):
            axes.set_xlabel("epoch")
            strip.set_xlabel("end")
        _variants_legend(figure, styles, table)
    return figure, table


def prediction_table(record: Record, cell: str | None = None) -> Table:
    """One run beside its prediction, a logged step a row.

    Args:
        record: of `ntklab dynamics` or `ntklab pair`.
        cell: which run; the first that has a prediction if None.

    Returns:
        Rows with step, measured (training loss), predicted, lambda_min_envelope, mended_bound,
        drift, linearization_error, and `mode_<i>_loss` for each kept mode (squared loss).

    Raises:
        InputError: if no run has a prediction.
    """
    cell = cell or next(
        (r["cell"] for r in record.results if f"{r['cell']}.predicted_loss" in record.arrays), None
    )
    if cell is None or f"{cell}.predicted_loss" not in record.arrays:
        raise InputError("the record holds no prediction: make it with  ntklab dynamics --out DIR.")
    columns = {"step": "step", "measured": "train_loss", "predicted": "predicted_loss"}
    same = ("lambda_min_envelope", "mended_bound", "drift", "linearization_error")
    columns |= {name: name for name in same}
    arrays = {k: record.arrays.get(f"{cell}.{name}") for k, name in columns.items()}
    modes = record.arrays.get(f"{cell}.mode_losses")
    table = []
    for index in range(len(record.arrays[f"{cell}.step"])):
        row = {name: _number(values, index) for name, values in arrays.items()}
        row["step"] = int(record.arrays[f"{cell}.step"][index])
        if modes is not None:
            row |= {f"mode_{i + 1}_loss": float(v) for i, v in enumerate(modes[index])}
        table.append(row)
    return table


def prediction_figure(
    record: Record, cell: str | None = None, *, venue: str = "neurips"
) -> tuple["Figure", Table]:
    """Predicted beside measured training loss, with the bounds, the drift and the certificate.

    Left: measured loss as points, linearized training as a line, its largest modes thin and grey
    (squared loss), eq 10's envelope of the loss dashed (e^(−2λ_min t) of the squared loss) and the
    mended bound dotted. Right: drift of the kernel and error of the linearization, with the limit
    0.1. The sentence above is the certificate.

    Args:
        record: of `ntklab dynamics` or `ntklab pair`, read with its arrays.
        cell: which run; the first that has a prediction if None.
        venue: a name from `ntklab.figures.style.VENUES`.

    Raises:
        InputError: if the run has no prediction.
    """
    from matplotlib.figure import Figure

    table = prediction_table(record, cell)
    row = next(r for r in record.results if cell is None or r["cell"] == cell)
    with drawing(venue, columns=2, height_to_width=0.8):
        figure = Figure()
        left, right = figure.subplots(1, 2)
        loss = row.get("loss") or record.config.get("loss", "squared")
        _losses(left, table, _ENVELOPES[loss])
        _departures(right, table)
        handles = [
            handle for axes in (left, right) for handle in axes.get_legend_handles_labels()[0]
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize="x-small")
        figure.suptitle(certificate_text(row), fontsize="small", wrap=True)
    return figure, table


def certificate_text(row: Mapping[str, Any]) -> str:
    """The certificate of a row, broken for the head of a figure.

    Example:
        >>> print(certificate_text({"variant": "lora", "ntk_regime": True,
        ...                         "ntk_regime_because": "the kernel drifted by 0.01"}))
        lora. NTK regime: yes, because the kernel drifted by 0.01.
    """
    import textwrap

    word = {True: "yes", False: "no", None: "not judged"}[row["ntk_regime"]]
    text = f"{row['variant']}. NTK regime: {word}, because {row['ntk_regime_because']}."
    return "\n".join(textwrap.wrap(text, 100))


def variant_styles(variants: Sequence[str]) -> dict[str, MethodStyle]:
    """A style a variant: the method's own where each method occurs once, else one scale.

    Example:
        >>> variant_styles(["lora", "tera"])["tera"].label
        'TeRA'
        >>> variant_styles(["tensorguide M=1024", "tensorguide M=2048"])["tensorguide M=2048"].label
        'M = 2048'
    """
    methods = [variant.split()[0] for variant in variants]
    if len(set(methods)) == len(methods):
        return {v: _style_of(m) for v, m in zip(variants, methods, strict=True)}
    import matplotlib as mpl

    colours = mpl.colormaps[_MAP](np.linspace(0.0, 0.85, len(variants)))
    styles = {}
    for index, variant in enumerate(variants):
        label = variant.split()[-1].replace("=", " = ") if " " in variant else variant
        colour = mpl.colors.to_hex(colours[index])
        styles[variant] = MethodStyle(label, colour, _MARKERS[index % len(_MARKERS)])
    return styles


def _style_of(method: str) -> MethodStyle:
    return _DENSE if method == "dense-head" and method not in METHODS else method_style(method)


def _groups(record: Record) -> dict[tuple[str, str], list[dict[str, Any]]]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in record.results:
        if f"{row.get('cell')}.train_loss" in record.arrays:
            groups.setdefault((row["settings"], row["variant"]), []).append(row)
    if not groups:
        raise InputError("the record holds no curves: make it with  ntklab pair --out DIR.")
    return groups


def _curve(record: Record, cell: str, figure: str) -> dict[int, float]:
    steps = record.arrays[f"{cell}.step"].astype(int).tolist()
    return dict(zip(steps, record.arrays[f"{cell}.{figure}"].tolist(), strict=True))


def _steps(record: Record, rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    epochs: dict[int, float] = {}
    for row in rows:
        steps = record.arrays[f"{row['cell']}.step"].astype(int).tolist()
        epochs |= dict(zip(steps, record.arrays[f"{row['cell']}.epoch"].tolist(), strict=True))
    return sorted(epochs.items())


def _number(values: np.ndarray | None, index: int) -> float | None:
    if values is None or not np.isfinite(values[index]):
        return None
    return float(values[index])


def _curves(axes: "Axes", rows: Table, styles: Mapping[str, MethodStyle]) -> None:
    for variant, style in styles.items():
        own = [row for row in rows if row["variant"] == variant]
        x, middle = (np.array([row[name] for row in own]) for name in ("epoch", "median"))
        axes.plot(
            x, middle, color=style.colour, linestyle=style.line, marker=style.marker, markersize=2.5
        )
    axes.set_xscale("symlog", linthresh=0.1)


def _ends(strip: "Axes", rows: Table, styles: Mapping[str, MethodStyle]) -> None:
    """Median and quartiles at the last step of each variant, side by side."""
    for place, (variant, style) in enumerate(styles.items()):
        own = [row for row in rows if row["variant"] == variant]
        if own:
            last = max(own, key=lambda row: row["step"])
            strip.vlines(place, last["low"], last["high"], color=style.colour, linewidth=1.6)
            strip.plot(place, last["median"], color=style.colour, marker=style.marker, ms=3)
    strip.set_xlim(-0.8, len(styles) - 0.2)
    strip.set_xticks([])
    strip.tick_params(axis="y", labelleft=False, length=0)
    strip.spines["left"].set_visible(False)


def _variants_legend(figure: "Figure", styles: Mapping[str, MethodStyle], table: Table) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=s.colour, linestyle=s.line, marker=s.marker, label=s.label)
        for s in styles.values()
    ]
    seeds = max(row["seeds"] for row in table)
    counts = {(r["settings"], r["variant"]): r["in_regime"].split(" of ") for r in table}
    inside, judged = (sum(int(pair[i]) for pair in counts.values()) for i in (0, 1))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=4,
        title=f"medians of {seeds} seeds, quartiles at the end; "
        f"NTK regime: yes for {inside} of {judged}",
        title_fontsize="small",
    )


def _losses(axes: "Axes", table: Table, envelope: str) -> None:
    steps = np.array([row["step"] for row in table]) + 1  # the start has a place on a log axis
    modes = [name for name in table[0] if name.startswith("mode_")]
    for index, name in enumerate(modes):
        values = np.array([row[name] for row in table])
        label = "its largest modes" if index == 0 else None
        axes.plot(steps, values, color="#B8B8B8", linewidth=0.5, label=label)
    for name, style in (
        ("predicted", {"color": "#0072B2", "label": "linearized"}),
        (
            "lambda_min_envelope",
            {"color": "#009E73", "ls": "--", "label": envelope},
        ),
        ("mended_bound", {"color": "#CC79A7", "ls": ":", "label": "mended bound"}),
        ("measured", {"color": "#D55E00", "ls": "none", "marker": "o", "markersize": 3}),
    ):
        values = np.array([np.nan if row[name] is None else row[name] for row in table])
        axes.plot(steps, values, **{"label": name, **style})  # type: ignore[arg-type]
    axes.set_xscale("log")
    axes.set_yscale("log")
    shown = [row["measured"] for row in table if row["measured"]]
    shown += [row["predicted"] for row in table if row["predicted"]]
    # modes that are learned vanish; the losses need the room
    axes.set_ylim((0.01 if modes else 0.3) * min(shown), 3 * max(shown))
    axes.set_xlabel("step + 1")
    axes.set_ylabel("training loss")


def _departures(axes: "Axes", table: Table) -> None:
    steps = np.array([row["step"] for row in table]) + 1
    for name, label, colour in (
        ("drift", "drift of the kernel", "#D55E00"),
        ("linearization_error", "linearization error", "#0072B2"),
    ):
        values = np.array([np.nan if not row[name] else row[name] for row in table])
        axes.plot(steps, values, color=colour, marker="o", markersize=2.5, label=label)
    axes.axhline(0.1, color="#404040", linestyle=":", label="limit of both")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("step + 1")
