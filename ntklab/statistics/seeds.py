"""Figures over seeds: medians, means and paired differences with intervals, and their tests.

Three intervals, each where it is right: a percentile bootstrap for a median and for paired
differences of many seeds, Student's t for the mean of a few, quartiles for the spread of single
runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ntklab.errors import InputError

#: Level of the test that a difference must pass beside its interval.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Interval:
    """An estimate over seeds with its interval.

    Attributes:
        value: median or mean; None if there are no values.
        low: lower end, None where there is no interval.
        high: upper end.
        seeds: how many values there were.
        reason: why something is None.
    """

    value: float | None
    low: float | None
    high: float | None
    seeds: int
    reason: str | None = None

    @property
    def sign(self) -> int:
        """1 where the interval is above zero, −1 where below, 0 where it says neither."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


def median_interval(
    values: Sequence[float | None], *, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """Median and percentile bootstrap interval (Efron 1979), resampled 2000 times.

    The interval is that of the median over seeds, not the spread of single seeds. With few seeds
    it is coarse: it cannot reach beyond the values seen.

    Args:
        values: one a seed; None is left out and counted as absent.
        confidence: of the interval.
        seed: of the resampling, so that equal values give equal intervals.

    Example:
        >>> median_interval([1.0, 2.0, 3.0, 4.0, 5.0])
        Interval(value=3.0, low=1.0, high=5.0, seeds=5, reason=None)
        >>> median_interval([2.0]).reason
        'one seed has no interval'
    """
    present = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(present):
        return Interval(None, None, None, 0, "no seed has this figure")
    median = float(np.median(present))
    if len(present) == 1:
        return Interval(median, None, None, 1, "one seed has no interval")
    low, high = _bootstrap(present, np.median, 2000, seed, confidence)
    return Interval(median, low, high, len(present))


def mean_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Mean with Student's interval, mean ± t · s/√n; no ends where a single seed has none.

    Student's t rather than a bootstrap: resampling three values cannot leave their range, and
    covers far less than 95 %. It supposes that seeds scatter about normally.

    Raises:
        InputError: no values.

    Example:
        >>> interval = mean_interval([1.0, 2.0, 3.0])
        >>> interval.value, round(interval.low, 3), round(interval.high, 3), interval.sign
        (2.0, -0.484, 4.484, 0)
    """
    if not values:
        raise InputError("no values: a mean needs at least one seed.")
    x = np.asarray(values, np.float64)
    if len(x) == 1:
        return Interval(float(x[0]), None, None, 1, "one seed has no interval")
    import scipy.stats

    quantile = scipy.stats.t.ppf(0.5 + confidence / 2, len(x) - 1)
    half = float(quantile * x.std(ddof=1) / len(x) ** 0.5)
    mean = float(x.mean())
    return Interval(mean, mean - half, mean + half, len(x))


def spread(values: Iterable[float | None]) -> dict[str, float | int | None]:
    """Median and quartiles over the seeds that have a value, and how many have one.

    Example:
        >>> spread([1.0, 3.0, 2.0, None])
        {'median': 2.0, 'low': 1.5, 'high': 2.5, 'seeds': 3}
        >>> spread([None])
        {'median': None, 'low': None, 'high': None, 'seeds': 0}
    """
    present = [value for value in values if value is not None]
    if not present:
        return {"median": None, "low": None, "high": None, "seeds": 0}
    low, middle, high = (float(end) for end in np.quantile(present, (0.25, 0.5, 0.75)))
    return {"median": middle, "low": low, "high": high, "seeds": len(present)}


@dataclass(frozen=True)
class PairedDifference:
    """x − y of one figure at the seeds that both have.

    Attributes:
        seeds: how many.
        mean: of the differences.
        mean_low: lower end of its 95 % bootstrap interval; None with fewer than two seeds.
        mean_high: upper end.
        median: of the differences.
        median_low: lower end of its 95 % bootstrap interval.
        median_high: upper end.
        effect_size: Cohen's d_z, mean over standard deviation of the differences; None where they
            do not vary.
        wins: seeds where x is larger.
        losses: seeds where y is larger.
        ties: seeds where they are equal.
        sign_p: two-sided sign test, ties left out; 1 if all are ties.
        wilcoxon_p: Wilcoxon's signed-rank test (exact where scipy can); 1 if all are ties.
        holm_p: the same, by Holm over all comparisons of the family; `wilcoxon_p` of a comparison
            that stands alone.
    """

    seeds: int
    mean: float
    mean_low: float | None
    mean_high: float | None
    median: float
    median_low: float | None
    median_high: float | None
    effect_size: float | None
    wins: int
    losses: int
    ties: int
    sign_p: float
    wilcoxon_p: float
    holm_p: float

    @property
    def decided(self) -> int:
        """1 where x is larger, −1 where y is, 0 where the seeds do not say.

        They say so if the interval of the mean leaves zero out and `holm_p` is below 0.05: a
        percentile interval of few seeds is too narrow, and with fewer than 6 p cannot get there.
        """
        if self.mean_low is None or self.mean_high is None or self.holm_p >= SIGNIFICANT:
            return 0
        return int(self.mean_low > 0) - int(self.mean_high < 0)

    def as_row(self) -> dict[str, Any]:
        """Flat columns for a record."""
        return asdict(self)


def paired_difference(
    values: Mapping[int, float], others: Mapping[int, float], *, seed: int = 0
) -> PairedDifference:
    """x − y over the seeds that both have.

    Percentile bootstrap (Efron 1979) over seeds, 5000 resamples. The interval is of the mean
    over starts, samples and minibatches on one data set and one test split; the spread over test
    sets is not in it.

    Args:
        values: x by seed.
        others: y by seed.
        seed: of the resampling, so that equal values give equal intervals.

    Raises:
        InputError: no shared seed.

    Example:
        >>> x = {seed: 0.8 + seed / 100 for seed in range(6)}
        >>> difference = paired_difference(x, dict.fromkeys(x, 0.7))
        >>> difference.wins, round(difference.mean, 3), difference.decided
        (6, 0.125, 1)
    """
    import scipy.stats

    shared = sorted(values.keys() & others.keys())
    if not shared:
        raise InputError("the two have no seed in common: run both at the same --seeds.")
    d = np.array([values[same] - others[same] for same in shared], dtype=np.float64)
    d[np.abs(d) < 1e-12] = 0.0  # 0.8 − 0.7 and 0.7 − 0.6 differ by rounding alone
    wins, losses = int((d > 0).sum()), int((d < 0).sum())
    deviation = float(d.std(ddof=1)) if len(d) > 1 else 0.0
    ends = [(None, None)] * 2
    if len(d) > 1:
        ends = [_bootstrap(d, statistic, 5000, seed) for statistic in (np.mean, np.median)]  # type: ignore[misc]
    (mean_low, mean_high), (median_low, median_high) = ends
    wilcoxon = float(scipy.stats.wilcoxon(d[d != 0]).pvalue) if wins + losses else 1.0
    return PairedDifference(
        seeds=len(d),
        mean=float(d.mean()),
        mean_low=mean_low,
        mean_high=mean_high,
        median=float(np.median(d)),
        median_low=median_low,
        median_high=median_high,
        effect_size=float(d.mean()) / deviation if deviation > 1e-12 else None,
        wins=wins,
        losses=losses,
        ties=len(d) - wins - losses,
        sign_p=_even_chances(wins, losses),
        wilcoxon_p=wilcoxon,
        holm_p=wilcoxon,
    )


def sign_test(
    rows: Iterable[Mapping[str, Any]], figure: str, method: str, other: str
) -> dict[str, Any]:
    """Paired two-sided sign test: does a method exceed another at the same seeds?

    Args:
        rows: of a spectrum record, one group a method.
        figure: the column to compare.
        method: its wins are counted.
        other: its wins are the losses.

    Returns:
        wins (seeds where `method` is larger), losses, ties, and the binomial p_value under even
        chances, ties left out (1.0 if all are ties).

    Raises:
        InputError: if no seed has both, or a seed occurs twice.

    Example:
        >>> rows = [{"method": m, "seed": s, "trace": t + s}
        ...         for s in range(5) for m, t in (("lora", 1.0), ("tera", 0.5))]
        >>> sign_test(rows, "trace", "lora", "tera")
        {'wins': 5, 'losses': 0, 'ties': 0, 'p_value': 0.0625}
    """
    rows = list(rows)
    x, y = (by_seed(rows, figure, method=name) for name in (method, other))
    shared = sorted(x.keys() & y.keys())
    if not shared:
        raise InputError(f"no seed has {figure} of both {method} and {other}.")
    signs = [np.sign(x[seed] - y[seed]) for seed in shared]
    wins, losses = signs.count(1), signs.count(-1)
    p_value = _even_chances(wins, losses)
    return {"wins": wins, "losses": losses, "ties": signs.count(0), "p_value": p_value}


def grouped(
    rows: Iterable[Mapping[str, Any]], *names: str
) -> dict[tuple[Any, ...], list[Mapping[str, Any]]]:
    """Rows by the values of some columns, in order of appearance.

    Example:
        >>> groups = grouped([{"m": 1, "s": 0}, {"m": 2, "s": 0}, {"m": 1, "s": 1}], "m")
        >>> {key: len(rows) for key, rows in groups.items()}
        {(1,): 2, (2,): 1}
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(name) for name in names), []).append(row)
    return groups


def by_seed(rows: Iterable[Mapping[str, Any]], figure: str, **chosen: object) -> dict[int, float]:
    """A figure by seed, of the rows whose columns have the chosen values.

    Raises:
        InputError: a seed that occurs twice, so that the choice does not name one run.

    Example:
        >>> by_seed([{"seed": 3, "loss": 0.5, "method": "lora"}], "loss", method="lora")
        {3: 0.5}
    """
    values: dict[int, float] = {}
    for row in rows:
        if all(row.get(name) == value for name, value in chosen.items()):
            if row["seed"] in values:
                raise InputError(f"seed {row['seed']} occurs twice for {chosen}: choose one run.")
            if row.get(figure) is not None:
                values[row["seed"]] = row[figure]
    return values


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values whose family-wise error stays at the level (Holm 1979).

    The i-th smallest of m is multiplied by m − i + 1, made monotone and cut at 1; whatever the
    dependence between the tests.

    Args:
        p_values: of one family.

    Returns:
        Adjusted values, in the order given.

    Raises:
        InputError: a value outside [0, 1].

    Example:
        >>> [round(p, 3) for p in holm([0.04, 0.01, 0.03])]
        [0.06, 0.03, 0.06]
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise InputError(f"p-values {list(p_values)} must lie between 0 and 1.")
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, least = [0.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = least
    return adjusted


def _even_chances(wins: int, losses: int) -> float:
    """Two-sided binomial p-value of wins among wins + losses; 1 where there are none."""
    import scipy.stats

    return float(scipy.stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def _bootstrap(
    values: np.ndarray, statistic: Any, resamples: int, seed: int, confidence: float = 0.95
) -> tuple[float, float]:
    import scipy.stats

    interval = scipy.stats.bootstrap(
        (values,),
        statistic,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",  # BCa divides by zero where all jackknife estimates agree
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)
