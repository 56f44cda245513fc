"""Accuracies side by side at the same seeds, and whether they are the same within two points."""

from collections.abc import Mapping, Sequence
from typing import Any

from ntklab.claims import Verdict
from ntklab.statistics import Equivalence, equivalence, holm
from paper_checks._panel import MARGIN, points

BySeed = Mapping[int, float]

COLUMNS = {
    "left": "this",
    "right": "beside",
    "optimizer": "optimizer",
    "left_params": "P",
    "right_params": "P beside",
    "seeds": "seeds",
    "mean": "difference",
    "low": "90 %, low",
    "high": "90 %, high",
    "p": "p of equivalence",
    "p_holm": "p (Holm)",
    "smallest_margin": "margin that could be shown",
    "detectable": "difference that could be seen",
    "outcome": "says",
}
LABELS = {
    "pairs": "comparisons",
    "same": "of them the same within 2 points",
    "no_worse": "no worse by 2 points",
    "worse": "worse by more than 2 points",
    "better": "better by more than 2 points",
    "undecided": "not decided by these seeds",
    "resolution": "margin that the median comparison could have shown",
    "detectable": "difference that the median comparison sees in 80 % of cases",
}


def compared(
    left: str, right: str, values: BySeed, others: BySeed, **more: Any
) -> dict[str, Any] | None:
    """One comparison as a row; None with fewer than two shared seeds.

    Args:
        left: whose values come first.
        right: beside whom.
        values: accuracies by seed.
        others: the same of the other.
        **more: further columns.
    """
    if len(values.keys() & others.keys()) < 2:
        return None
    result: Equivalence = equivalence(values, others, margin=MARGIN)
    no_worse = result.p_below < 0.05
    return {"left": left, "right": right, **more, **result.as_row(), "no_worse": no_worse}


def summarized(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts of what the rows say, after Holm for what holds of single rows; fills `p_holm`."""
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    outcomes = [row["outcome"] for row in rows]
    return {
        "pairs": len(rows),
        "same": outcomes.count("equivalent"),
        "no_worse": sum(row["no_worse"] for row in rows),
        "worse": outcomes.count("below"),
        "better": outcomes.count("above"),
        "undecided": outcomes.count("undecided"),
        "resolution": _median([row["smallest_margin"] for row in rows]),
        "detectable": _median([row["detectable"] for row in rows]),
    }


def same_verdict(v: Mapping[str, Any]) -> Verdict:
    """Of a claim that all pairs are the same within the margin.

    OK if each is shown to be (an intersection of tests, which needs no correction); FALSE if some
    are beyond it and none within; REGIME if some are within and some beyond; else DATA.
    """
    beyond = v["worse"] + v["better"]
    if v["pairs"] and v["same"] == v["pairs"]:
        return Verdict.OK
    if beyond:
        return Verdict.REGIME if v["same"] else Verdict.FALSE
    return Verdict.DATA


def no_worse_verdict(v: Mapping[str, Any]) -> Verdict:
    """Of a claim that all pairs are no worse by the margin; as `same_verdict`."""
    if v["pairs"] and v["no_worse"] == v["pairs"]:
        return Verdict.OK
    if v["worse"]:
        return Verdict.REGIME if v["no_worse"] else Verdict.FALSE
    return Verdict.DATA


def counts_text(v: Mapping[str, Any]) -> str:
    """The counts, and what these seeds could have shown."""
    if not v["pairs"]:
        return "No pair of methods could be compared."
    return (
        f"Of {v['pairs']} comparisons {v['same']} are the same within 2 points, {v['worse']} worse "
        f"and {v['better']} better by more than that, {v['undecided']} not decided; no worse by 2 "
        f"points are {v['no_worse']}. The median comparison could have shown equality within "
        f"{100 * v['resolution']:.1f} points and sees a difference of {100 * v['detectable']:.1f} "
        "in 80 % of cases."
    )


def extremes_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The largest differences either way."""
    if not rows:
        return ""
    ordered = sorted(rows, key=lambda row: row["mean"])
    ends = [ordered[0]] + ([ordered[-1]] if len(ordered) > 1 else [])
    words = (
        f"{row['left']} minus {row['right']} ({row['optimizer']}) {points(row['mean'])} "
        f"[{points(row['low'])}, {points(row['high'])}]"
        for row in ends
    )
    return f"The extremes: {'; '.join(words)}."


def listed(rows: Sequence[Mapping[str, Any]], *outcomes: str) -> str:
    """Which comparisons said one of these words, a few by name."""
    names = [f"{r['left']} ({r['optimizer']})" for r in rows if r["outcome"] in outcomes]
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return (", ".join(names[:6]) + more) or "none"


def _median(values: Sequence[float]) -> float | None:
    from statistics import median

    return median(values) if values else None
