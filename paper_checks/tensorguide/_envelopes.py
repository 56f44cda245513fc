"""Curves of a loss beside envelopes, one a seed, made one row a case: eqs 10 and 22 judge them."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from paper_checks.tensorguide._seeds import quartiles

GIVEN = "cross-entropy, one sample"  # K = I/2 from zero: no seed has a part in it
ROUNDING = 1e-9  # share of the first loss
POINTS = 7  # of a curve, for the figure

# A promise to have lost less than this share of the loss when training ends is none.
LEAST_PROMISE = 0.01


def holds(rows: Sequence[Mapping[str, Any]], envelope: str = "envelope") -> bool:
    """Whether the measured loss stays under an envelope, but for rounding of the first loss."""
    slack = ROUNDING * rows[0]["measured"]
    return all(
        row["measured"] <= row[envelope] * (1 + 1e-6) + slack
        for row in rows
        if row[envelope] is not None
    )


def promises(rows: Sequence[Mapping[str, Any]]) -> float:
    """The share of the loss that the claim says is gone at the end."""
    return 1 - rows[-1]["envelope"] / rows[0]["envelope"]


def assumed(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a curve has all that eq. 22 assumes: squared loss, a kernel that stays, λ_min > 0."""
    first = rows[0]
    return first["loss"] == "squared" and bool(first["regime"]) and first["lambda_min"] > 0


def case_row(name: str, curves: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """One case over its seeds: at how many what holds, the worst of them, and a median curve.

    Args:
        name: of the case.
        curves: one a seed, of `fixed_rows` or `run_rows`.

    Returns:
        `said`: seeds at which the envelope promises something, and `held`: of these, those with
        the loss under it. `rose`: of the rest, those whose loss was ever above its first value.
        `assumed` and `assumed_held`: seeds with all that eq. 22 assumes, and those of them with
        the loss under the envelope; `others_broken` and `others_idle`: of the others, those that
        exceed a promise, and those that have none. `lazy`, `mended_held`, `largest_miss`: by the
        certificate. `worst` and `allowed`: where the loss is farthest above the envelope. The
        curve is in columns ending in a number, losses over the first one.
    """
    inside = [one for one in curves if assumed(one)]
    outside = [one for one in curves if not assumed(one)]
    lazy = [one for one in curves if one[0]["regime"]]
    said = [one for one in curves if promises(one) >= LEAST_PROMISE]
    worst = max(
        (row | {"first": one[0]["measured"]} for one in curves for row in map(dict, one)),
        key=lambda row: row["measured"] / (row["envelope"] + ROUNDING * row["first"]),
    )
    misses = [
        max(abs(row["measured"] - row["predicted"]) for row in one) / one[0]["measured"]
        for one in lazy
    ]
    return {
        **{"case": name, "kind": curves[0][0]["kind"], "loss": curves[0][0]["loss"]},
        **{"seeds": len(curves), "said": len(said), "held": sum(map(holds, said))},
        "rose": sum(not holds(one) for one in curves if one not in said),
        "assumed": len(inside),
        "assumed_held": sum(map(holds, inside)),
        "others_broken": sum(not holds(one) for one in outside if one in said),
        "others_idle": sum(one not in said for one in outside),
        "lazy": len(lazy),
        "mended_held": sum(holds(one, "mended") for one in lazy),
        "largest_miss": max(misses, default=None),
        "promise": median(map(promises, curves)),
        "largest_promise": max(map(promises, curves)),
        "lambda_min": median(one[0]["lambda_min"] for one in curves),
        "drift": median(max(row["drift"] for row in one) for one in curves),
        **quartiles("last", [one[-1]["measured"] / one[0]["measured"] for one in curves]),
        **{"worst": worst["measured"], "allowed": worst["envelope"]},
        **_median_curve([_thinned(one) for one in curves]),
    }


def _thinned(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """At most `POINTS` of them, the first and the last among these."""
    last, most = len(rows) - 1, min(len(rows), POINTS)
    return [rows[round(k * last / (most - 1))] for k in range(most)]


def _median_curve(curves: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, float | None]:
    """Point by point over the seeds: times as they are, losses over the first of their curve."""
    medians: dict[str, float | None] = {}
    first = [one[0]["measured"] for one in curves]
    for k in range(min(map(len, curves))):
        medians[f"time_{k}"] = median(one[k]["time"] for one in curves)
        medians |= quartiles(
            f"measured_{k}", [one[k]["measured"] / f for one, f in zip(curves, first, strict=True)]
        )
        for name in ("predicted", "envelope", "mended"):
            there = [
                one[k][name] / f
                for one, f in zip(curves, first, strict=True)
                if one[k][name] is not None
            ]
            medians[f"{name}_{k}"] = median(there) if len(there) == len(curves) else None
    return medians


def outcome(row: Mapping[str, Any]) -> str:
    """Of one case: broken by one seed; empty if it promises nothing at any; else it holds."""
    if row["held"] < row["said"]:
        return "broken"
    return "holds" if row["said"] else "empty"


def seeds_told(count: int, row: Mapping[str, Any]) -> str:
    """As in "3 of 30 seeds"; empty where nothing is drawn."""
    return "" if row["case"] == GIVEN else f"{count} of {row['seeds']} seeds"
