"""Tables 1, 2 and 5 from a record of pairs, with the sentence that the numbers support."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ntklab.experiments.training.bounds import BOUNDS
from ntklab.records import Record
from ntklab.statistics import (
    PairedDifference,
    by_seed,
    holm,
    median_interval,
    paired_difference,
)

FIGURES = (
    *("train_loss", "train_accuracy", "test_loss", "test_accuracy", "noisy_accuracy"),
    *("clean_accuracy", "gap", "accuracy_gap", "predicted_loss", "prediction_error"),
    *("lambda_max", "lambda_min", "mended_bound", *BOUNDS, "drift_max"),
    *("effective_parameters", "compression_bits", "compressed_train_error"),
    "compressed_test_error",
    *("linearization_error_max", "lazy_index", "lr", "steps_per_second", "seconds"),
)
_NAMED = (
    *("settings", "variant", "method", "width", "effective_width", "tt_ranks", "params"),
    *("params_with_conv1", "optimizer", "loss", "batch", "epochs", "end_to_end"),
)

#: What each table asks: the variant that the others stand against, and the paper's claim.
QUESTIONS: dict[int, tuple[str, str]] = {
    1: ("tensorguide", "TensorGuide is the most accurate with the fewest parameters"),
    2: ("tensorguide M=1024", "a wider hidden layer at almost equal parameters is more accurate"),
    5: ("tensorguide M=1024 ranks=1,2,2,1,1", "larger TT-ranks are more accurate"),
}
ACCURACY = "test_accuracy"


def pair_table(record: Record, figures: Sequence[str] = FIGURES) -> list[dict[str, Any]]:
    """One row a setting and variant: medians over seeds with 95 % bootstrap intervals.

    Args:
        record: of `ntklab pair` or `ntklab train`.
        figures: what to take medians of.

    Returns:
        What was trained; `seeds`; for each figure `<figure>`, `<figure>_low`, `<figure>_high`;
        `<bound>_vacuous` and `in_regime` ("0 of 10"), `diverged` (count) and a `reason`.
    """
    table = []
    for rows in _groups(record):
        line = {name: rows[0].get(name) for name in _NAMED} | {"seeds": len(rows)}
        for figure in figures:
            if any(row.get(figure) is not None for row in rows):
                median = median_interval([row.get(figure) for row in rows])
                line |= {figure: median.value}
                line |= {f"{figure}_low": median.low, f"{figure}_high": median.high}
        line |= {f"{name}_vacuous": _count(rows, f"{name}_vacuous") for name in BOUNDS}
        line["in_regime"] = _count(rows, "ntk_regime")
        line["diverged"] = sum(bool(row.get("diverged")) for row in rows)
        table.append(line | {"reason": None if len(rows) > 1 else "one seed has no interval"})
    return table


def comparisons(record: Record, reference: str, figure: str = ACCURACY) -> list[dict[str, Any]]:
    """Every other variant minus the reference, at the same seeds and the same settings.

    Returns:
        Rows with `settings`, `variant`, `reference`, `figure` and the columns of
        `PairedDifference`, where the comparisons of one setting are a family to Holm; nothing for
        settings without the reference.
    """
    found = []
    for settings, variants in _variants(record).items():
        if reference not in variants:
            continue
        base = by_seed(record.results, figure, settings=settings, variant=reference)
        family = []
        for variant in (one for one in variants if one != reference):
            values = by_seed(record.results, figure, settings=settings, variant=variant)
            if values.keys() & base.keys():
                difference = paired_difference(values, base)
                named = {"settings": settings, "variant": variant, "reference": reference}
                family.append(named | {"figure": figure} | difference.as_row())
        adjusted = holm([one["wilcoxon_p"] for one in family])
        found += [one | {"holm_p": p} for one, p in zip(family, adjusted, strict=True)]
    return found


def evidence(comparison: Mapping[str, Any]) -> str:
    """The sentence that one paired comparison supports.

    Example:
        >>> rows = [{"settings": "matched", "variant": v, "seed": s, "test_accuracy": a}
        ...         for s in range(6) for v, a in (("x", 0.7 + s / 100), ("y", 0.6))]
        >>> evidence(comparisons(Record("pair", {}, {}, rows), "y")[0])
        'matched: x is more accurate than y by 12.5 points [11.2, 13.8] on average \
(6 seeds; wins 6, losses 0, ties 0; Wilcoxon p (Holm) = 0.031; d_z = 6.7).'
    """
    d = difference_of(comparison)
    x, y = comparison["variant"], comparison["reference"]
    head = f"{comparison['settings']}: "
    if d.mean_low is None or d.mean_high is None:
        return f"{head}{x} against {y}: {100 * d.mean:+.1f} points; one seed decides nothing."
    # of an interval of a negative difference the far end comes last, as of a positive one
    ends = sorted((abs(d.mean_low), abs(d.mean_high)))
    effect = "" if d.effect_size is None else f"; d_z = {d.effect_size:.1f}"
    tests = (
        f"{d.seeds} seeds; wins {d.wins}, losses {d.losses}, ties {d.ties}; "
        f"Wilcoxon p (Holm) = {d.holm_p:.2g}{effect}"
    )
    if d.decided == 0:
        return (
            f"{head}no difference seen between {x} and {y} at {d.seeds} seeds: "
            f"{100 * d.mean:+.1f} points on average, interval "
            f"[{100 * d.mean_low:+.1f}, {100 * d.mean_high:+.1f}] ({tests})."
        )
    word = "more" if d.decided > 0 else "less"
    return (
        f"{head}{x} is {word} accurate than {y} by {100 * abs(d.mean):.1f} points "
        f"[{100 * ends[0]:.1f}, {100 * ends[1]:.1f}] on average ({tests})."
    )


def table_number(record: Record) -> int:
    """Which of the paper's tables a record answers: 2 for widths, 5 for TT-ranks, else 1."""
    variants = {row["variant"] for row in record.results}
    for number in (2, 5):
        if QUESTIONS[number][0] in variants:
            return number
    return 1


def evidence_sentences(record: Record, table: int | None = None) -> list[str]:
    """One sentence a comparison with the table's reference."""
    reference, _ = QUESTIONS[table or table_number(record)]
    return [evidence(one) for one in comparisons(record, reference)]


def judged_by(table: int) -> str:
    """Where the paper's claim on a table is judged; a page of numbers gives no verdict of its own.

    Example:
        >>> judged_by(5)
        'Claim: larger TT-ranks are more accurate. Judged by `ntklab check tensorguide/table5`.'
    """
    return f"Claim: {QUESTIONS[table][1]}. Judged by `ntklab check tensorguide/table{table}`."


def regime_sentence(record: Record) -> str:
    """How many runs of a record were within the regime in which the kernel may speak.

    Example:
        >>> regime_sentence(Record("pair", {}, {}, [{"ntk_regime": False}]))
        'NTK regime: yes for 0 of 1 runs; elsewhere the predicted curves describe another run.'
    """
    judged = [row for row in record.results if row.get("ntk_regime") is not None]
    if not judged:
        return "NTK regime: not judged, because nothing was measured or predicted."
    inside = sum(bool(row["ntk_regime"]) for row in judged)
    note = (
        "" if inside == len(judged) else ("; elsewhere the predicted curves describe another run")
    )
    return f"NTK regime: yes for {inside} of {len(judged)} runs{note}."


def difference_of(comparison: Mapping[str, Any]) -> PairedDifference:
    """The paired difference in a row of `comparisons`."""
    names = PairedDifference.__dataclass_fields__
    return PairedDifference(**{name: comparison[name] for name in names})


def _count(rows: Sequence[Mapping[str, Any]], name: str) -> str | None:
    """For how many of the rows that were judged the answer is yes."""
    judged = [row[name] for row in rows if row.get(name) is not None]
    return f"{sum(map(bool, judged))} of {len(judged)}" if judged else None


def _variants(record: Record) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for row in record.results:
        found.setdefault(row["settings"], {})[row["variant"]] = None
    return {settings: list(variants) for settings, variants in found.items()}


def _groups(record: Record) -> Iterator[list[dict[str, Any]]]:
    for settings, variants in _variants(record).items():
        for variant in variants:
            key = (settings, variant)
            yield [r for r in record.results if (r["settings"], r["variant"]) == key]
