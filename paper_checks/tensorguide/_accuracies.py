"""Test accuracies of committed records: paired differences to one variant, and their sentence."""

from collections.abc import Mapping
from typing import Any

from ntklab.claims.claim import Measured
from ntklab.records import Record
from paper_checks.tensorguide._training import (
    ABSENT,
    ROW_LABELS,
    Comparison,
    difference_rows,
    outcome,
    outcome_text,
    outcome_values,
    outcomes_in,
    provenance_values,
    resolution,
    runs_text,
    statistics_text,
)

COLUMNS = ROW_LABELS | {"mean": "test accuracy"}


def measured_accuracies(
    values: Mapping[str, Any],
    record: Record | None,
    compared: Comparison,
    seeds: int | None = None,
) -> Measured:
    """The values with the outcome of the comparison, and its rows; without a record, none.

    Args:
        values: measured beside the record.
        record: of training.
        compared: what is compared.
        seeds: that the values rest on.
    """
    values = {**values, **provenance_values(record)}
    if record is None:
        return Measured(values, seeds=seeds)
    rows = difference_rows(record, compared.reference, "test_accuracy")
    words = outcome_values(outcome(rows, compared.wanted))
    return Measured(values | words | {"resolution": resolution(rows)}, rows, seeds)


def accuracies_text(
    measured: Measured, compared: Comparison, *, before: str = "", after: str = ""
) -> str:
    """The differences, and which settings they decide.

    Args:
        measured: with the values and rows of `measured_accuracies`.
        compared: what was compared.
        before: a sentence on these seeds that comes first.
        after: a sentence that follows the outcome.
    """
    v = measured.values
    if not v["recorded"]:
        return f"{ABSENT} {runs_text(v)}"
    opening = (
        f"Accuracy: {before} Mean difference to {compared.against}"
        if before
        else f"Accuracy, mean difference to {compared.against} at {v['recorded_seeds']} paired "
        "seeds"
    )
    sentences = (
        f"{opening} with 95 % interval and Wilcoxon p (Holm): "
        f"{statistics_text(measured.rows, compared.wanted)}.",
        f"{compared.condition}: {accuracies_outcome(v)}.",
        after,
        runs_text(v),
    )
    return " ".join(filter(None, sentences))


def accuracies_outcome(values: Mapping[str, Any]) -> str:
    """The outcome alone, for a summary."""
    return outcome_text(outcomes_in(values)) if values["recorded"] else "no training record"
