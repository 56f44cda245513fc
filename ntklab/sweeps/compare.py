"""Methods beside each other: medians over seeds, bootstrap intervals, a paired sign test."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats

from ntklab.errors import InputError

#: Rows that agree on these differ in their seed alone.
GROUP = (
    *("task", "data_condition", "preset", "samples", "centred", "method"),
    *("width", "effective_width", "tt_ranks", "params", "outputs", "rank_bound"),
)

#: The figures that a comparison shows unless told.
FIGURES = (
    *("rank", "lambda_max", "lambda_min", "lambda_min_nonzero", "lambda_min_nonzero_over_mean"),
    *("condition", "trace", "effective_dimension", "kernel_target_alignment", "label_residual"),
    "seconds",
)

_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A median over seeds with a bootstrap interval.

    Attributes:
        median: None if there are no values.
        low: lower end, None where there is no interval.
        high: upper end.
        seeds: how many values there were.
        reason: why something is None.
    """

    median: float | None
    low: float | None
    high: float | None
    seeds: int
    reason: str | None = None


def median_interval(
    values: Sequence[float], *, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Median and percentile bootstrap interval (Efron 1979), resampled 2000 times.

    The interval speaks of the median over seeds, not of the spread of single seeds. With few
    seeds it is coarse: it cannot reach beyond the values seen.

    Args:
        values: one a seed; None is left out and counted as absent.
        confidence: of the interval.
        seed: of the resampling, so that equal values give equal intervals.

    Example:
        >>> median_interval([1.0, 2.0, 3.0, 4.0, 5.0])
        Interval(median=3.0, low=1.0, high=5.0, seeds=5, reason=None)
        >>> median_interval([2.0]).reason
        'one seed has no interval'
    """
    present = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(present):
        return Interval(None, None, None, 0, "no seed has this figure")
    median = float(np.median(present))
    if len(present) == 1:
        return Interval(median, None, None, 1, "one seed has no interval")
    found = scipy.stats.bootstrap(
        (present,),
        np.median,
        n_resamples=_RESAMPLES,
        confidence_level=confidence,
        method="percentile",  # BCa divides by zero where all jackknife medians agree
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(median, float(found.low), float(found.high), len(present))


def compare(
    rows: Iterable[Mapping[str, Any]], figures: Sequence[str] = FIGURES
) -> list[dict[str, Any]]:
    """One row a group of rows that differ in their seed alone.

    Args:
        rows: of a spectrum record.
        figures: what to take medians of.

    Returns:
        For each group, in order of appearance: the fields of `GROUP`, `seeds`, and for each
        figure `<figure>`, `<figure>_low`, `<figure>_high` (95 % bootstrap), with a `reason`.

    Example:
        >>> rows = [{"method": "lora", "rank": r} for r in (3, 4, 5)]
        >>> compare(rows, ["rank"])[0]["rank"]
        4.0
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row.get("core") is None:  # a part of a kernel is no further draw of it
            groups.setdefault(tuple(row.get(name) for name in GROUP), []).append(row)
    compared = []
    for key, members in groups.items():
        line = dict(zip(GROUP, key, strict=True)) | {"seeds": len(members)}
        reasons: dict[str, list[str]] = {}
        for figure in figures:
            found = median_interval([row.get(figure) for row in members])  # type: ignore[misc]
            line |= {figure: found.median, f"{figure}_low": found.low, f"{figure}_high": found.high}
            if found.reason:
                reasons.setdefault(found.reason, []).append(figure)
        said = [f"{reason} ({', '.join(names)})" for reason, names in reasons.items()]
        compared.append(line | {"reason": "; ".join(said) or None})
    return compared


def sign_test(
    rows: Iterable[Mapping[str, Any]], figure: str, method: str, other: str
) -> dict[str, Any]:
    """Paired two-sided sign test: does one method exceed the other at the same seeds?

    Args:
        rows: of a spectrum record, one group a method.
        figure: what to compare.
        method: the one.
        other: the other.

    Returns:
        wins (seeds where the one is larger), losses, ties, and the binomial p_value under even
        chances, ties left out (1.0 if all are ties).

    Raises:
        InputError: if no seed has both, or a seed occurs twice.

    Example:
        >>> rows = [{"method": m, "seed": s, "trace": t + s}
        ...         for s in range(5) for m, t in (("lora", 1.0), ("tera", 0.5))]
        >>> sign_test(rows, "trace", "lora", "tera")
        {'wins': 5, 'losses': 0, 'ties': 0, 'p_value': 0.0625}
    """
    values: dict[str, dict[int, float]] = {method: {}, other: {}}
    for row in rows:
        if row["method"] in values and row.get(figure) is not None:
            if row["seed"] in values[row["method"]]:
                raise InputError(
                    f"seed {row['seed']} of {row['method']} occurs twice: give one group a method."
                )
            values[row["method"]][row["seed"]] = row[figure]
    shared = sorted(values[method].keys() & values[other].keys())
    if not shared:
        raise InputError(f"no seed has {figure} of both {method} and {other}.")
    signs = [np.sign(values[method][seed] - values[other][seed]) for seed in shared]
    wins, losses = signs.count(1), signs.count(-1)
    decided = wins + losses
    p_value = scipy.stats.binomtest(wins, decided).pvalue if decided else 1.0
    return {"wins": wins, "losses": losses, "ties": signs.count(0), "p_value": float(p_value)}
