"""Two variants at the same seeds: differences with intervals, effect size, and two tests."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.stats

from ntklab.errors import InputError

#: Level of the test that a difference must pass beside its interval.
SIGNIFICANT = 0.05

_RESAMPLES = 5000


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
        holm_p: the same, by Holm over all comparisons of which this is one; `wilcoxon_p` of one
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

    Percentile bootstrap (Efron 1979) over seeds, 5000 resamples. The interval speaks of the mean
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
        >>> found = paired_difference(x, dict.fromkeys(x, 0.7))
        >>> found.wins, round(found.mean, 3), found.decided
        (6, 0.125, 1)
    """
    shared = sorted(values.keys() & others.keys())
    if not shared:
        raise InputError("the two have no seed in common: run both at the same --seeds.")
    d = np.array([values[one] - others[one] for one in shared], dtype=np.float64)
    d[np.abs(d) < 1e-12] = 0.0  # 0.8 − 0.7 and 0.7 − 0.6 differ by rounding alone
    wins, losses = int((d > 0).sum()), int((d < 0).sum())
    spread = float(d.std(ddof=1)) if len(d) > 1 else 0.0
    mean, median = _interval(d, np.mean, seed), _interval(d, np.median, seed)
    wilcoxon = float(scipy.stats.wilcoxon(d[d != 0]).pvalue) if wins + losses else 1.0
    return PairedDifference(
        len(d),
        float(d.mean()),
        *mean,
        float(np.median(d)),
        *median,
        float(d.mean()) / spread if spread > 1e-12 else None,
        wins,
        losses,
        len(d) - wins - losses,
        float(scipy.stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0,
        wilcoxon,
        wilcoxon,
    )


def by_seed(rows: Iterable[Mapping[str, Any]], figure: str, **chosen: object) -> dict[int, float]:
    """A figure by seed, of the rows whose columns have the chosen values.

    Raises:
        InputError: a seed that occurs twice, so that the choice does not name one run.

    Example:
        >>> by_seed([{"seed": 3, "loss": 0.5, "method": "lora"}], "loss", method="lora")
        {3: 0.5}
    """
    found: dict[int, float] = {}
    for row in rows:
        if all(row.get(name) == value for name, value in chosen.items()):
            if row["seed"] in found:
                raise InputError(f"seed {row['seed']} occurs twice for {chosen}: choose one run.")
            if row.get(figure) is not None:
                found[row["seed"]] = row[figure]
    return found


def _interval(d: np.ndarray, statistic: Any, seed: int) -> tuple[float | None, float | None]:
    if len(d) < 2:
        return None, None
    found = scipy.stats.bootstrap(
        (d,),
        statistic,
        n_resamples=_RESAMPLES,
        method="percentile",  # BCa divides by zero where all differences agree
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)
