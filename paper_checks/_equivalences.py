"""Accuracies side by side at the same seeds, and whether they are the same within two points."""

from collections.abc import Mapping, Sequence
from typing import Any

from ntklab.claims import Verdict
from ntklab.statistics import SIGNIFICANT, Equivalence, equivalence, holm
from paper_checks._panel import MARGIN, enough, points

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
    "p_beyond_holm": "p beyond (Holm)",
    "smallest_margin": "margin that could be shown",
    "detectable": "difference that could be seen",
    "outcome": "says",
}
LABELS = {
    "pairs": "comparisons",
    "same": "of them the same within 2 points",
    "shown": "the same, after Holm",
    "no_worse": "no worse by 2 points",
    "shown_no_worse": "no worse, after Holm",
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
    return {"left": left, "right": right, **more, **result.as_row()}


def summarized(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts of what the rows say; fills their corrected p-values and what follows from them.

    That all pairs are within the margin is an intersection of tests, each at 5 %. That one pair is
    beyond it, or which pairs are within, is said after Holm over all pairs: among fifty at the
    margin two or three would be beyond it by chance.
    """
    for name in ("p", "p_below", "p_beyond"):
        for row, p in zip(rows, holm([row[name] for row in rows]), strict=True):
            row[f"{name}_holm"] = p
    for row in rows:
        row["no_worse"] = row["p_below"] < SIGNIFICANT
        row["shown"] = row["p_holm"] < SIGNIFICANT
        row["shown_no_worse"] = row["p_below_holm"] < SIGNIFICANT
        if row["outcome"] in ("above", "below") and row["p_beyond_holm"] >= SIGNIFICANT:
            row["outcome"] = "undecided"
    outcomes = [row["outcome"] for row in rows]
    return {
        "pairs": len(rows),
        "same": outcomes.count("equivalent"),
        "shown": sum(row["shown"] for row in rows),
        "no_worse": sum(row["no_worse"] for row in rows),
        "shown_no_worse": sum(row["shown_no_worse"] for row in rows),
        "worse": outcomes.count("below"),
        "better": outcomes.count("above"),
        "undecided": outcomes.count("undecided"),
        "resolution": _median([row["smallest_margin"] for row in rows]),
        "detectable": _median([row["detectable"] for row in rows]),
    }


def same_verdict(v: Mapping[str, Any]) -> Verdict:
    """Of a claim that all pairs are the same within the margin.

    OK if each is shown to be; FALSE if some are beyond it and none is shown within; REGIME if some
    are within and some beyond; else DATA, also of too few seeds.
    """
    beyond = v["worse"] + v["better"]
    if not enough(v):
        return Verdict.DATA
    if v["pairs"] and v["same"] == v["pairs"]:
        return Verdict.OK
    if beyond:
        return Verdict.REGIME if v["shown"] else Verdict.FALSE
    return Verdict.DATA


def no_worse_verdict(v: Mapping[str, Any]) -> Verdict:
    """Of a claim that all pairs are no worse by the margin; as `same_verdict`."""
    if not enough(v):
        return Verdict.DATA
    if v["pairs"] and v["no_worse"] == v["pairs"]:
        return Verdict.OK
    if v["worse"]:
        return Verdict.REGIME if v["shown_no_worse"] else Verdict.FALSE
    return Verdict.DATA


def counts_text(v: Mapping[str, Any]) -> str:
    """The counts, and what these seeds could have shown."""
    if not v["pairs"]:
        return "No pair of methods could be compared."
    return (
        f"Of {v['pairs']} comparisons {v['same']} are the same within 2 points ({v['shown']} after "
        f"Holm); after Holm {v['worse']} are worse and {v['better']} better by more than that; "
        f"{v['undecided']} are not decided. No worse by 2 points are {v['no_worse']}. By itself "
        f"the median comparison could have shown equality within {100 * v['resolution']:.1f} "
        f"points and sees a difference of {100 * v['detectable']:.1f} in 80 % of cases."
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
    """Which comparisons said one of these words, a few by name; equivalent ones after Holm."""
    names = [
        f"{r['left']} ({r['optimizer']})"
        for r in rows
        if r["outcome"] in outcomes and (r["outcome"] != "equivalent" or r["shown"])
    ]
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return (", ".join(names[:6]) + more) or "none"


def _median(values: Sequence[float]) -> float | None:
    from statistics import median

    return median(values) if values else None
