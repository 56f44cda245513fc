"""Means over the seeds of a record, with the interval that few seeds allow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ntklab.errors import InputError


@dataclass(frozen=True)
class MeanInterval:
    """A mean over seeds with Student's 95 % interval; no ends where one seed has none.

    Student's t rather than a bootstrap: resampling three values cannot leave their range, and
    covers far less than 95 %. It supposes that seeds scatter about normally.
    """

    mean: float
    low: float | None
    high: float | None

    @property
    def sign(self) -> int:
        """1 where the interval is above zero, −1 where below, 0 where it says neither."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


def mean_interval(values: Sequence[float]) -> MeanInterval:
    """Mean and mean ± t · s/√n.

    Raises:
        InputError: no values.

    Example:
        >>> found = mean_interval([1.0, 2.0, 3.0])
        >>> found.mean, round(found.low, 3), round(found.high, 3), found.sign
        (2.0, -0.484, 4.484, 0)
    """
    if not values:
        raise InputError("no values: a mean needs at least one seed.")
    x = np.asarray(values, np.float64)
    if len(x) == 1:
        return MeanInterval(float(x[0]), None, None)
    import scipy.stats

    half = float(scipy.stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / len(x) ** 0.5)
    mean = float(x.mean())
    return MeanInterval(mean, mean - half, mean + half)
