"""Does one figure rank methods as another does? Rank correlation over methods and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntklab.errors import InputError

#: A table of one figure: method, then seed, then value.
Table = Mapping[str, Mapping[int, float]]

_LEAST_METHODS = 5


@dataclass(frozen=True)
class Association:
    """Spearman's correlation of two figures over methods, each a mean over seeds.

    Attributes:
        methods: how many have both figures.
        seeds: how many seeds all of them share.
        rho: Spearman's ρ; None where a figure is the same for all methods.
        low: lower end of the 95 % percentile interval over resampled methods and seeds.
        high: upper end.
        p: two-sided, by permuting methods.
        partial: ρ after the control's ranks are taken out of both; None without a control.
        partial_low: lower end of its interval.
        partial_high: upper end.
        partial_p: two-sided, by permuting what the control leaves of the ranks.
        detectable: the |ρ| that a test at 5 % sees in 80 % of cases with so many methods.
        reason: why ρ is None.
    """

    methods: int
    seeds: int
    rho: float | None
    low: float | None
    high: float | None
    p: float | None
    partial: float | None
    partial_low: float | None
    partial_high: float | None
    partial_p: float | None
    detectable: float
    reason: str | None = None

    def as_row(self) -> dict[str, Any]:
        """Flat columns for a record."""
        return asdict(self)


def association(
    x: Table,
    y: Table,
    *,
    control: Table | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Association:
    """Spearman's ρ of two figures over methods, with a bootstrap over methods and seeds.

    Seeds draw what all methods see (shots, order), so methods and seeds are crossed: a resample
    draws methods and, independently, seeds, both with replacement, averages over the seeds drawn
    and correlates over the methods drawn (two-way bootstrap; Owen 2007 shows that it is
    conservative). Methods of one family resemble each other; no interval here knows of that.

    Args:
        x: a figure, method → seed → value.
        y: another.
        control: a third whose ranks are taken out of both (partial Spearman).
        resamples: of the bootstrap and of the permutations.
        seed: of both, so that equal values give equal intervals.

    Raises:
        InputError: fewer than 5 methods that have all figures at a shared seed.

    Example:
        >>> x = {f"m{k}": {0: k, 1: k + 0.1} for k in range(8)}
        >>> y = {f"m{k}": {0: k * k, 1: k * k} for k in range(8)}
        >>> result = association(x, y, resamples=200)
        >>> result.rho, result.methods, result.p < 0.01
        (1.0, 8, True)
    """
    tables = [x, y] if control is None else [x, y, control]
    cube = _cube(tables)
    figures, methods, seeds = cube.shape
    limits: dict[str, Any] = {
        "methods": methods,
        "seeds": seeds,
        "detectable": detectable_correlation(methods),
    }
    means = cube.mean(2)
    if (means[:2] == means[:2, :1]).all(1).any():
        empty: dict[str, Any] = dict.fromkeys(_OPTIONAL)
        return Association(**limits, **empty, reason="the figure is the same for all methods")
    generator = np.random.default_rng(seed)
    drawn = _ranks(_resampled(cube, resamples, generator))
    low, high = _ends(_correlation(drawn[:, 0], drawn[:, 1]))
    out: dict[str, Any] = {
        "rho": spearman(means[0], means[1]),
        **{"low": low, "high": high},
        "p": _permutation_p(_ranks(means[0]), _ranks(means[1]), resamples, generator),
        **dict.fromkeys(_OPTIONAL[4:]),
    }
    if figures == 3:
        left, right = _without_control(_ranks(means))
        if min(left.std(), right.std()) > 1e-9:
            ends = _ends(_correlation(*_without_control(drawn)))
            out |= {"partial": float(_correlation(left, right))}
            out |= {"partial_low": ends[0], "partial_high": ends[1]}
            out |= {"partial_p": _permutation_p(left, right, resamples, generator)}
    return Association(**limits, **out)


_OPTIONAL = ("rho", "low", "high", "p", "partial", "partial_low", "partial_high", "partial_p")


def spearman(x: Sequence[float] | NDArray, y: Sequence[float] | NDArray) -> float:
    """Spearman's ρ, ties at their mean rank; NaN where either is constant.

    Example:
        >>> spearman([1.0, 2.0, 3.0], [1.0, 4.0, 9.0])
        1.0
    """
    ranks = _ranks(np.array([x, y], np.float64))
    return float(np.round(_correlation(ranks[0], ranks[1]), 12))


def detectable_correlation(methods: int, *, level: float = 0.05, power: float = 0.8) -> float:
    """The |ρ| that a two-sided test sees with this power: tanh((z_{1−α/2} + z_β) √(1.06/(n − 3))).

    Fisher's transformation with the variance of Spearman's ρ (Fieller, Hartley and Pearson 1957).

    Args:
        methods: n.
        level: α; divide by the number of tests for Holm's first step.
        power: β.

    Example:
        >>> round(detectable_correlation(24), 2), detectable_correlation(3)
        (0.56, 1.0)
    """
    if methods <= 3:
        return 1.0
    import scipy.stats

    z = scipy.stats.norm.ppf(1 - level / 2) + scipy.stats.norm.ppf(power)
    return float(np.tanh(z * (1.06 / (methods - 3)) ** 0.5))


def friedman(table: Table) -> float:
    """Friedman's p-value: do settings differ, when each was tried at the same seeds?

    Args:
        table: one figure, setting → seed → value.

    Raises:
        InputError: fewer than 3 settings or 2 shared seeds.

    Example:
        >>> friedman({name: {s: base + s for s in range(5)} for base, name in enumerate("abc")})
        0.0067379469990854...
    """
    import scipy.stats

    shared = sorted(set.intersection(*(set(values) for values in table.values())))
    if len(table) < 3 or len(shared) < 2:
        raise InputError(
            f"Friedman's test needs 3 settings and 2 shared seeds, not {len(table)} and "
            f"{len(shared)}."
        )
    columns = [[values[seed] for seed in shared] for values in table.values()]
    if all(len(set(row)) == 1 for row in zip(*columns, strict=True)):
        return 1.0  # no difference at any seed, where the statistic is 0/0
    return float(scipy.stats.friedmanchisquare(*columns).pvalue)


def _cube(tables: Sequence[Table]) -> NDArray:
    """Figures × methods × seeds that all methods share."""
    methods = [name for name in tables[0] if all(table.get(name) for table in tables)]
    seeds: set[int] = set()
    if methods:
        seeds = set.intersection(*(set(table[name]) for table in tables for name in methods))
    if len(methods) < _LEAST_METHODS or not seeds:
        raise InputError(
            f"{len(methods)} methods with {len(seeds)} shared seeds cannot be ranked: give at "
            f"least {_LEAST_METHODS} that have every figure at the same seeds."
        )
    shared = sorted(seeds)
    values = [[[table[name][seed] for seed in shared] for name in methods] for table in tables]
    return np.array(values, dtype=np.float64)


def _resampled(cube: NDArray, resamples: int, generator: np.random.Generator) -> NDArray:
    """Means over drawn seeds at drawn methods: resamples × figures × methods."""
    _, methods, seeds = cube.shape
    chosen = generator.integers(methods, size=(resamples, methods, 1))
    times = generator.integers(seeds, size=(resamples, 1, seeds))
    return cube[:, chosen, times].mean(3).swapaxes(0, 1)


def _ends(values: NDArray) -> tuple[float | None, float | None]:
    """95 % of the resamples in which both figures vary; None where too few do."""
    finite = values[np.isfinite(values)]
    if len(finite) < 0.5 * len(values):
        return None, None
    low, high = np.quantile(finite, (0.025, 0.975))
    return float(low), float(high)


def _permutation_p(x: NDArray, y: NDArray, resamples: int, generator: np.random.Generator) -> float:
    """Two-sided, with the observed order among the permutations so that it is never zero."""
    x, y = x - x.mean(), y - y.mean()
    observed = abs(x @ y) * (1 - 1e-9)
    orders = generator.permuted(np.tile(y, (resamples, 1)), axis=1)
    return float((1 + (np.abs(orders @ x) >= observed).sum()) / (resamples + 1))


def _ranks(values: NDArray) -> NDArray:
    """Along the last axis, ties at their mean rank."""
    import scipy.stats

    return scipy.stats.rankdata(values, axis=-1)


def _correlation(x: NDArray, y: NDArray) -> NDArray:
    """Along the last axis; NaN where either is constant."""
    x, y = (values - values.mean(-1, keepdims=True) for values in (x, y))
    size = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    product = (x * y).sum(-1)
    return np.divide(product, size, out=np.full_like(product, np.nan), where=size > 1e-9)


def _without_control(ranks: NDArray) -> tuple[NDArray, NDArray]:
    """Residuals of the ranks of x and y on the control's, from ranks of shape (..., 3, methods)."""
    centred = ranks - ranks.mean(-1, keepdims=True)
    x, y, z = (centred[..., k, :] for k in range(3))
    square = np.maximum((z * z).sum(-1, keepdims=True), 1e-9)

    def rest(v: NDArray) -> NDArray:
        return v - z * ((z * v).sum(-1, keepdims=True) / square)

    return rest(x), rest(y)
