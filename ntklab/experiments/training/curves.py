"""Figures 4, 5 and 6 in a sentence: whose training loss falls faster, at the same seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ntklab.experiments.training.evidence import QUESTIONS, table_number
from ntklab.experiments.training.table import comparisons, difference_of
from ntklab.records import Record

#: Table → the figure that shows its curves, and the paper's claim about them as we read it.
CLAIMS: dict[int, tuple[int, str]] = {
    1: (4, "TensorGuide trains faster than the other methods"),
    2: (5, "a wider hidden layer at almost equal parameters trains faster"),
    5: (6, "larger TT-ranks train faster"),
}
SPEED = "mean_train_loss"


def with_mean_loss(record: Record) -> Record:
    """The record with `mean_train_loss` in every row that has a curve.

    That is the training loss averaged over the epochs (trapezoids between logged steps): of two
    runs from one loss, the lower one's loss fell faster, wherever along the curve it did.

    Example:
        >>> curve = {"a.epoch": np.array([0.0, 1.0, 3.0]), "a.train_loss": np.array([3.0, 1.0, 0])}
        >>> with_mean_loss(Record("pair", {}, {}, [{"cell": "a"}], curve)).results[0][SPEED]
        1.0
    """
    rows = [row | {SPEED: _mean_loss(record.arrays, row)} for row in record.results]
    return replace(record, results=rows)


def curve_sentences(record: Record, table: int | None = None) -> list[str]:
    """One sentence a comparison with the table's reference."""
    reference = QUESTIONS[table or table_number(record)][0]
    return [_sentence(comparison) for comparison in comparisons(record, reference, SPEED)]


def curves_markdown(record: Record, table: int | None = None) -> str:
    """The comparison that each curve of a figure gives, and where its claim is judged."""
    number = table or table_number(record)
    measured = with_mean_loss(record)
    sentences = [f"- {sentence}" for sentence in curve_sentences(measured, number)]
    if not sentences:
        return ""
    rule = (
        "Training losses averaged over the epochs, judged as the accuracies are. A faster fall "
        "under `released` is of methods with rates of their own."
    )
    figure, claim = CLAIMS[number]
    judged = f"Claim: {claim}. Judged by `ntklab check tensorguide/fig{figure}`."
    return "\n".join([judged, "", rule, "", *sentences, ""])


def _mean_loss(arrays: Mapping[str, np.ndarray], row: Mapping[str, Any]) -> float | None:
    epochs: Sequence[float] | None = arrays.get(f"{row.get('cell')}.epoch")  # type: ignore[assignment]
    losses = arrays.get(f"{row.get('cell')}.train_loss")
    if epochs is None or losses is None or len(losses) < 2 or row.get("diverged"):
        return None
    return float(np.trapezoid(losses, epochs) / (epochs[-1] - epochs[0]))


def _sentence(comparison: Mapping[str, Any]) -> str:
    d = difference_of(comparison)
    x, y, settings = (comparison[name] for name in ("variant", "reference", "settings"))
    if d.mean_low is None or d.mean_high is None:
        return f"{settings}: {x} against {y}: {d.mean:+.3g}; one seed decides nothing."
    verb = {-1: "falls faster than", 0: "is not told apart from", 1: "falls slower than"}
    return (
        f"{settings}: the loss of {x} {verb[d.decided]} that of {y} "
        f"({d.mean:+.3g} [{d.mean_low:+.3g}, {d.mean_high:+.3g}] on average, "
        f"{d.seeds} seeds; lower at {d.losses}, higher at {d.wins}; Wilcoxon "
        f"p (Holm) = {d.holm_p:.2g})."
    )
