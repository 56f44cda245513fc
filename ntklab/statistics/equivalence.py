"""Are two figures the same within a margin? Two one-sided tests of paired differences."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ntklab.errors import InputError

Outcome = Literal["equivalent", "above", "below", "undecided"]


@dataclass(frozen=True)
class Equivalence:
    """x − y at shared seeds against a margin δ.

    Attributes:
        seeds: how many.
        mean: of the differences.
        low: lower end of Student's 90 % interval, which two one-sided tests at 5 % use.
        high: upper end.
        p: of equivalence, the larger of the two one-sided p-values.
        p_below: that x is not lower than y by δ or more (non-inferiority, one-sided).
        p_beyond: that x lies outside the margin, the smaller one-sided p-value doubled.
        p_difference: two-sided, that x differs from y at all.
        margin: δ.
        smallest_margin: the least δ at which these seeds would have shown equivalence.
        detectable: the difference that a two-sided test at 5 % sees in 80 % of cases.
    """

    seeds: int
    mean: float
    low: float
    high: float
    p: float
    p_below: float
    p_beyond: float
    p_difference: float
    margin: float
    smallest_margin: float
    detectable: float

    @property
    def outcome(self) -> Outcome:
        """Equivalent, beyond the margin above or below, or undecided, each test at 5 %."""
        if self.p < 0.05:
            return "equivalent"
        if self.p_beyond < 0.05:
            return "above" if self.mean > 0 else "below"
        return "undecided"

    def as_row(self) -> dict[str, Any]:
        """Flat columns for a record, the outcome among them."""
        return asdict(self) | {"outcome": self.outcome}


def equivalence(
    values: Mapping[int, float], others: Mapping[int, float], *, margin: float
) -> Equivalence:
    """Two one-sided paired t-tests (Schuirmann 1987): is |x − y| below the margin?

    Not finding a difference is no sign of equality; here equality within δ must be shown. It
    supposes that differences scatter about normally. With few seeds most comparisons stay
    undecided, and `smallest_margin` says what could have been shown.

    Args:
        values: x by seed.
        others: y by seed.
        margin: δ > 0, in the unit of the figures.

    Raises:
        InputError: fewer than two shared seeds, or a margin that is not positive.

    Example:
        >>> x = {s: 0.80 + 0.002 * (s % 3) for s in range(6)}
        >>> result = equivalence(x, dict.fromkeys(x, 0.80), margin=0.02)
        >>> result.outcome, round(result.smallest_margin, 4)
        ('equivalent', 0.0035)
    """
    import scipy.stats

    shared = sorted(values.keys() & others.keys())
    if len(shared) < 2:
        raise InputError(
            f"{len(shared)} shared seeds: a paired test needs two; run both at the same --seeds."
        )
    if not margin > 0:
        raise InputError(f"margin = {margin} must be positive.")
    d = np.array([values[seed] - others[seed] for seed in shared], dtype=np.float64)
    count, mean = len(d), float(d.mean())
    # Differences that rounding alone makes vary count as equal, with a width of zero.
    deviation = float(d.std(ddof=1)) if d.std(ddof=1) > 1e-12 else 0.0
    error, t = deviation / count**0.5, scipy.stats.t(count - 1)

    def above(bound: float) -> float:
        """One-sided p-value of the mean lying above a bound."""
        if error == 0:
            return 0.0 if mean > bound else 1.0
        return float(t.sf((mean - bound) / error))

    half = float(t.ppf(0.95)) * error
    p_below, p_not_above = above(-margin), 1 - above(margin)
    return Equivalence(
        seeds=count,
        mean=mean,
        low=mean - half,
        high=mean + half,
        p=max(p_below, p_not_above),
        p_below=p_below,
        p_beyond=min(1.0, 2 * min(above(margin), 1 - above(-margin))),
        p_difference=min(1.0, 2 * min(above(0.0), 1 - above(0.0))) if mean or error else 1.0,
        margin=margin,
        smallest_margin=abs(mean) + half,
        detectable=float(t.ppf(0.975) + t.ppf(0.8)) * error,
    )
