"""Figures 4, 5 and 6 in a sentence: whose training loss falls faster, at the same seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ntklab.records import Record
from ntklab.sweeps.tables import QUESTIONS, comparisons, difference_of, table_number
from ntklab.training import RELEASED

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


def curve_verdict(record: Record, table: int | None = None) -> str:
    """What the curves say to the paper's claim, every comparison counted.

    Example:
        >>> rows = [{"settings": "matched", "variant": v, "seed": s, SPEED: a + s / 100}
        ...         for s in range(6) for v, a in (("tensorguide", 0.2), ("lora", 0.5))]
        >>> print(curve_verdict(Record("pair", {}, {}, rows), 1))
        Claim: TensorGuide trains faster than the other methods. Seen here, matched: against \
tensorguide, the loss of 0 of 1 others falls faster, of 1 slower, no difference seen for 0.
    """
    number = table or table_number(record)
    reference, claim = QUESTIONS[number][0], CLAIMS[number][1]
    found = comparisons(record, reference, SPEED)
    parts = []
    for settings in dict.fromkeys(one["settings"] for one in found):
        here = [one for one in found if one["settings"] == settings]
        signs = [difference_of(one).decided for one in here]
        parts.append(
            f"{settings}: against {reference}, the loss of {signs.count(-1)} of {len(signs)} "
            f"others falls faster, of {signs.count(1)} slower, no difference seen for "
            f"{signs.count(0)}{_among_the_papers(here)}"
        )
    return f"Claim: {claim}. Seen here, {'. '.join(parts) or 'nothing to compare'}."


def _among_the_papers(found: Sequence[Mapping[str, Any]]) -> str:
    own = [one for one in found if one["variant"] in RELEASED]
    if not own or len(own) == len(found):
        return ""
    signs = [difference_of(one).decided for one in own]
    names = " and ".join(one["variant"] for one in own)
    return f" (of the paper's own, {names}: {signs.count(-1)} faster, {signs.count(1)} slower)"


def curve_sentences(record: Record, table: int | None = None) -> list[str]:
    """One sentence a comparison with the table's reference."""
    reference = QUESTIONS[table or table_number(record)][0]
    return [_sentence(one) for one in comparisons(record, reference, SPEED)]


def curves_markdown(record: Record, table: int | None = None) -> str:
    """The verdict on a figure's claim, with the comparison that each of its curves gives."""
    number = table or table_number(record)
    measured = with_mean_loss(record)
    sentences = [f"- {sentence}" for sentence in curve_sentences(measured, number)]
    if not sentences:
        return ""
    told = (
        "Training losses averaged over the epochs, judged as the accuracies are. A faster fall "
        "under `released` is of methods with rates of their own."
    )
    return "\n".join([curve_verdict(measured, number), "", told, "", *sentences, ""])


def _mean_loss(arrays: Mapping[str, np.ndarray], row: Mapping[str, Any]) -> float | None:
    epochs: Sequence[float] | None = arrays.get(f"{row.get('cell')}.epoch")  # type: ignore[assignment]
    losses = arrays.get(f"{row.get('cell')}.train_loss")
    if epochs is None or losses is None or len(losses) < 2 or row.get("diverged"):
        return None
    return float(np.trapezoid(losses, epochs) / (epochs[-1] - epochs[0]))


def _sentence(comparison: Mapping[str, Any]) -> str:
    found = difference_of(comparison)
    x, y, settings = (comparison[name] for name in ("variant", "reference", "settings"))
    if found.mean_low is None or found.mean_high is None:
        return f"{settings}: {x} against {y}: {found.mean:+.3g}; one seed decides nothing."
    verb = {-1: "falls faster than", 0: "is not told apart from", 1: "falls slower than"}
    return (
        f"{settings}: the loss of {x} {verb[found.decided]} that of {y} "
        f"({found.mean:+.3g} [{found.mean_low:+.3g}, {found.mean_high:+.3g}] on average, "
        f"{found.seeds} seeds; lower at {found.losses}, higher at {found.wins}; Wilcoxon "
        f"p (Holm) = {found.holm_p:.2g})."
    )
