"""Training curves of committed records: areas that are compared, and points that are drawn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.claims.claim import Check, Claim, Finding, Measured, Sample, Verdict
from ntklab.records import Record
from paper_checks.tensorguide._training import (
    ABSENT,
    FALLS,
    OPEN,
    STANDS,
    Comparison,
    difference_rows,
    outcome,
    outcome_labels,
    outcome_text,
    outcome_values,
    outcomes_in,
    provenance_values,
    recorded_verdict,
    runs_text,
    statistics_text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Curve → its average over the epochs, as a figure of a row.
AREAS = {"train_loss": "mean_loss", "test_accuracy": "mean_accuracy"}
_TITLES = {"train_loss": "training loss", "test_accuracy": "test accuracy"}
_RESAMPLES = 2000
_CEILING = 1.0  # chance is log 2; a first step that is too long spikes far above


def curves_check(claim: Claim, compared: Comparison, shown: Sequence[str] = ()) -> Check:
    """A claim about training curves, judged by their averages over the epochs.

    Args:
        claim: what is said.
        compared: the accuracies that it wants; of the losses it says the opposite.
        shown: variants to draw beside those compared.
    """
    return Check(
        claim,
        lambda effort: measured_curves(compared.read(effort), compared, shown),
        lambda measured: judged_curves(measured, compared),
        labels=outcome_labels(
            {
                "loss_statistics": "training loss averaged over the epochs, minus the reference",
                "accuracy_statistics": "test accuracy averaged over the epochs, minus the "
                "reference",
            }
        ),
        draw=draw_curves,
        caption="Means over seeds and 95 % bootstrap intervals of the mean, from the committed "
        "training record: frozen features of simulated quantum-dot images, one test split. Losses "
        "above 1, in the first steps of some runs, are cut off.",
        sample=Sample("quantum dots", by="record"),
        records=(compared.record,),
    )


def with_areas(record: Record) -> Record:
    """The record with `mean_loss` and `mean_accuracy` in every row that has curves.

    A curve's average over the epochs, by the trapezoid rule between logged steps: whatever falls
    faster has the smaller loss, also where all end alike.
    """
    results = []
    for row in record.results:
        added = {}
        for curve, name in AREAS.items():
            areas = _curve(record, row, curve)
            if areas is not None:
                epoch, values = areas
                span = float(epoch[-1] - epoch[0])
                added[name] = float(np.trapezoid(values, epoch)) / span if span else None
        results.append({**row, **added})
    return replace(record, results=results)


def points(record: Record, variants: Iterable[str]) -> list[dict[str, Any]]:
    """Mean over seeds with its 95 % bootstrap interval at every logged step.

    Seeds are resampled as a whole, so that a curve stays one run's.
    """
    rng, rows = np.random.default_rng(0), []
    wanted = set(variants)
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in record.results:
        if row.get("variant") in wanted:
            groups.setdefault((row["settings"], row["variant"]), []).append(row)
    for (settings, variant), members in groups.items():
        for curve in AREAS:
            curves = [one for row in members if (one := _curve(record, row, curve)) is not None]
            if not curves:
                continue
            epoch = max((one[0] for one in curves), key=len)
            table = np.array([one[1] for one in curves if len(one[0]) == len(epoch)])
            drawn = rng.integers(0, len(table), size=(_RESAMPLES, len(table)))
            low, high = np.quantile(table[drawn].mean(axis=1), (0.025, 0.975), axis=0)
            common = {"settings": settings, "variant": variant, "figure": curve}
            rows += [
                common | {"epoch": float(x), "mean": float(m), "low": float(a), "high": float(b)}
                for x, m, a, b in zip(epoch, table.mean(axis=0), low, high, strict=True)
            ]
    return rows


def measured_curves(
    record: Record | None, compared: Comparison, shown: Sequence[str] = ()
) -> Measured:
    """Curves to draw, and the outcome of both averages.

    Args:
        record: of pairs, with its arrays.
        compared: what the claim says of the accuracies; of the losses it says the opposite.
        shown: variants to draw beside those.
    """
    values = provenance_values(record)
    if record is None:
        return Measured(values)
    reference, accuracy = compared.reference, compared.wanted
    filled = with_areas(record)
    drawn = points(record, [reference, *accuracy, *shown])
    if not drawn:
        return Measured(values | {"recorded": False})
    by_accuracy = difference_rows(filled, reference, "mean_accuracy")
    by_loss = difference_rows(filled, reference, "mean_loss")
    loss = {name: "less" if word == "more" else "more" for name, word in accuracy.items()}
    outcomes = _both(outcome(by_accuracy, accuracy), outcome(by_loss, loss))
    values |= outcome_values(outcomes) | {
        "accuracy_statistics": statistics_text(by_accuracy, accuracy),
        "loss_statistics": statistics_text(by_loss, accuracy, percent=False),
    }
    return Measured(values, drawn)


def judged_curves(measured: Measured, compared: Comparison) -> Finding:
    """The verdict that both averages of `measured_curves` support."""
    v = measured.values
    if not v["recorded"]:
        return Finding(Verdict.DATA, f"{ABSENT} {runs_text(v)}")
    said = outcome_text(outcomes_in(v))
    return Finding(
        recorded_verdict(v),
        f"Averages over the epochs minus {compared.against}, {v['recorded_seeds']} paired seeds, "
        f"95 % interval, Wilcoxon p (Holm). Test accuracy: {v['accuracy_statistics']}. Training "
        f"loss: {v['loss_statistics']}. {compared.condition}: {said}. {runs_text(v)}",
        brief=f"loss and accuracy averaged over the epochs: {said}",
    )


def draw_curves(measured: Measured) -> "Figure":
    """Training loss and test accuracy against epochs, a row of panels a setting."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing
    from ntklab.figures.training import variant_styles

    rows = measured.rows
    settings = list(dict.fromkeys(row["settings"] for row in rows)) or [""]
    styles = variant_styles(list(dict.fromkeys(row["variant"] for row in rows)))
    with drawing(columns=2, height_to_width=0.62 * len(settings) + 0.2):
        figure = Figure()
        grid = figure.subplots(len(settings), 2, squeeze=False, sharex=True, sharey="col")
        for panels, setting in zip(grid, settings, strict=True):
            for axes, (curve, title) in zip(panels, _TITLES.items(), strict=True):
                for variant, style in styles.items():
                    own = _points_of(rows, setting, variant, curve)
                    if own:
                        _band(axes, own, style)
                axes.set_title(f"{title}, {setting} settings")
                if curve == "train_loss" and axes.get_ylim()[1] > _CEILING:
                    axes.set_ylim(top=_CEILING)
        for axes in grid[-1]:
            axes.set_xlabel("epoch")
        handles = [
            figure.axes[0].plot([], [], color=s.colour, ls=s.line, marker=s.marker, label=s.label)
            for s in styles.values()
        ]
        figure.legend(handles=[h[0] for h in handles], loc="outside lower center", ncols=4)
    return figure


def _points_of(
    rows: Iterable[Mapping[str, Any]], settings: str, variant: str, curve: str
) -> list[Mapping[str, Any]]:
    key = (settings, variant, curve)
    return [row for row in rows if (row["settings"], row["variant"], row["figure"]) == key]


def _band(axes: Any, rows: Sequence[Mapping[str, Any]], style: Any) -> None:
    x = [row["epoch"] for row in rows]
    low, high = ([row[name] for row in rows] for name in ("low", "high"))
    axes.fill_between(x, low, high, color=style.colour, alpha=0.15, lw=0)
    look = {"color": style.colour, "linestyle": style.line, "marker": style.marker}
    axes.plot(x, [row["mean"] for row in rows], markersize=2.5, markevery=2, **look)


def _both(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    """Stands if both do, falls if one falls, else undecided."""
    outcomes = {}
    for settings in first:
        words = {first[settings], second.get(settings, OPEN)}
        outcomes[settings] = FALLS if FALLS in words else STANDS if words == {STANDS} else OPEN
    return outcomes


def _curve(
    record: Record, row: Mapping[str, Any], name: str
) -> tuple[np.ndarray, np.ndarray] | None:
    epoch = record.arrays.get(f"{row.get('cell')}.epoch")
    values = record.arrays.get(f"{row.get('cell')}.{name}")
    if epoch is None or values is None:
        return None
    there = np.isfinite(values) & np.isfinite(epoch)
    return (epoch[there], values[there]) if there.sum() > 1 else None
