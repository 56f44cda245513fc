"""Sentences that the numbers of training runs support; claims are judged in `paper_checks`."""

from collections.abc import Mapping
from typing import Any

from ntklab.experiments.training.table import (
    LANGUAGE,
    comparisons,
    difference_of,
    layout_of,
    smaller_and_larger,
    training_table,
)
from ntklab.records import Record
from ntklab.statistics import SIGNIFICANT

#: Each of the paper's tables: the variant that the others stand against, and the claim.
QUESTIONS: dict[int, tuple[str, str]] = {
    1: ("tensorguide", "TensorGuide is the most accurate with the fewest parameters"),
    2: ("tensorguide M=1024", "a wider hidden layer at almost equal parameters is more accurate"),
    3: ("frozen", "TensorGuide reaches consistently lower perplexity than LoRA at smaller budgets"),
    5: ("tensorguide M=1024 ranks=1,2,2,1,1", "larger TT-ranks are more accurate"),
}


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
        return f"{head}{x} minus {y}: {100 * d.mean:+.1f} points; one seed decides nothing."
    # of an interval of a negative difference the far end comes last, as of a positive one
    ends = sorted((abs(d.mean_low), abs(d.mean_high)))
    effect = "" if d.effect_size is None else f"; d_z = {d.effect_size:.1f}"
    tests = (
        f"{d.seeds} seeds; wins {d.wins}, losses {d.losses}, ties {d.ties}; "
        f"Wilcoxon p (Holm) = {d.holm_p:.2g}{effect}"
    )
    if d.decided == 0:
        least = 2.0 ** (1 - d.seeds)  # all seeds on one side, and both sides count
        seen = (
            f"no difference seen between {x} and {y} at {d.seeds} seeds"
            if least <= SIGNIFICANT
            else f"{d.seeds} seeds cannot decide between {x} and {y}, since the smallest p that "
            f"the test can give them is {least:.2g}"
        )
        return (
            f"{head}{seen}: {x} minus {y} is {100 * d.mean:+.1f} points on average, interval "
            f"[{100 * d.mean_low:+.1f}, {100 * d.mean_high:+.1f}] ({tests})."
        )
    word = "more" if d.decided > 0 else "less"
    return (
        f"{head}{x} is {word} accurate than {y} by {100 * abs(d.mean):.1f} points "
        f"[{100 * ends[0]:.1f}, {100 * ends[1]:.1f}] on average ({tests})."
    )


def table_number(record: Record) -> int:
    """Which of the paper's tables a record answers: 3 for words, 2 or 5 by reference, else 1."""
    if layout_of(record) is LANGUAGE:
        return 3
    variants = {row["variant"] for row in record.results}
    for number in (2, 5):
        if QUESTIONS[number][0] in variants:
            return number
    return 1


def evidence_sentences(record: Record, table: int | None = None) -> list[str]:
    """One sentence a comparison with the table's reference."""
    reference, _ = QUESTIONS[table or table_number(record)]
    return [evidence(comparison) for comparison in comparisons(record, reference)]


def judged_by(table: int) -> str:
    """Where the paper's claim on a table is judged; a page of numbers gives no verdict of its own.

    Example:
        >>> judged_by(5)
        'Claim: larger TT-ranks are more accurate. Judged by `ntklab check tensorguide/table5`.'
    """
    return f"Claim: {QUESTIONS[table][1]}. Judged by `ntklab check tensorguide/table{table}`."


def regime_sentence(record: Record) -> str:
    """How many runs of a record were within the regime in which the kernel describes training.

    Example:
        >>> regime_sentence(Record("pair", {}, {}, [{"ntk_regime": False}]))
        'NTK regime: yes for 0 of 1 runs; elsewhere the predicted curves describe another run.'
    """
    judged = [row for row in record.results if row.get("ntk_regime") is not None]
    if not judged:
        return "NTK regime: not judged, because nothing was measured or predicted."
    inside = sum(bool(row["ntk_regime"]) for row in judged)
    note = "" if inside == len(judged) else "; elsewhere the predicted curves describe another run"
    return f"NTK regime: yes for {inside} of {len(judged)} runs{note}."


def pairs_sentence(record: Record) -> str:
    """How often the smaller TensorGuide has the lower perplexity, and the lowest of each method.

    Example:
        >>> rows = [{"method": m, "variant": m, "head": "add", "seed": s, "params": p,
        ...          "test_perplexity": x + s / 100, "baseline_perplexity": 24.0}
        ...         for m, p, x in (("tensorguide", 300, 21.0), ("lora", 50000, 22.0))
        ...         for s in range(3)]
        >>> pairs_sentence(Record("train", {}, {}, rows))
        "Of 1 pairs of a TensorGuide and a LoRA with more parameters, TensorGuide's test \
perplexity is lower in 1, higher in 0, and not told apart in 0 (95 % intervals of paired \
differences over 3 seeds); lowest of tensorguide: 21.01 (tensorguide, 300 parameters); \
lowest of lora: 22.01 (lora, 50000 parameters)."
    """
    pairs = smaller_and_larger(record)
    if not pairs:
        return "The record has no TensorGuide beside a LoRA with more parameters."
    signs = [pair["sign"] for pair in pairs]
    seeds = min(pair["seeds"] for pair in pairs)
    added = [row for row in training_table(record) if row["head"] == "add"]
    lowest = []
    for method in ("tensorguide", "lora"):
        own = (row for row in added if row["method"] == method)
        best = min(own, key=lambda row: row["test_perplexity"])
        lowest.append(
            f"lowest of {method}: {best['test_perplexity']:.2f} ({best['variant']}, "
            f"{best['params']} parameters)"
        )
    return (
        f"Of {len(pairs)} pairs of a TensorGuide and a LoRA with more parameters, TensorGuide's "
        f"test perplexity is lower in {signs.count(-1)}, higher in {signs.count(1)}, and not told "
        f"apart in {signs.count(0)} (95 % intervals of paired differences over {seeds} seeds); "
        f"{'; '.join(lowest)}."
    )


def baseline_sentence(record: Record) -> str:
    """How many trained variants end below the frozen model, by their intervals."""
    trained = [row for row in training_table(record) if not row["frozen"]]
    groups = []
    for head, words in (("add", "added to the projection"), ("replace", "in its place")):
        rows = [row for row in trained if row["head"] == head]
        if rows:
            signs = [row["against_frozen_sign"] for row in rows]
            groups.append(
                f"{words}, {signs.count(-1)} of {len(rows)} variants end below the frozen model's "
                f"perplexity and {signs.count(1)} above it"
            )
    return f"{'; '.join(groups)}.".capitalize()
