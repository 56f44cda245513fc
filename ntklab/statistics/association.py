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
        groups: how many of them are independent; as many where no groups were given.
        seeds: how many seeds all of them share.
        rho: Spearman's ρ; None where a figure is the same for all methods.
        low: lower end of the 95 % percentile interval over resampled groups and seeds.
        high: upper end.
        p: two-sided, by permuting groups of equal size.
        partial: ρ after the control's ranks are taken out of both; None without a control.
        partial_low: lower end of its interval.
        partial_high: upper end.
        partial_p: two-sided, by permuting what the control leaves of the ranks.
        detectable: the |ρ| that a test at 5 % sees in 80 % of cases with so many groups.
        reason: why ρ is None.
    """

    methods: int
    groups: int
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
    groups: Mapping[str, str] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Association:
    """Spearman's ρ of two figures over methods, with a bootstrap over methods and seeds.

    Seeds draw what all methods see (shots, order), so methods and seeds are crossed: a resample
    draws methods and, independently, seeds, both with replacement, averages over the seeds drawn
    and correlates over the methods drawn (two-way bootstrap; Owen 2007 shows that it is
    conservative). Two sizes of one method are no two methods: of such a group all or none are
    drawn, as often as the group is (cluster bootstrap), and the permutation moves whole groups, to
    the places of groups of their size. That families of methods resemble each other, no interval
    here knows.

    Args:
        x: a figure, method → seed → value.
        y: another.
        control: a third whose ranks are taken out of both (partial Spearman).
        groups: method → the group that it belongs to; each by itself if None.
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
    names, cube = _cube(tables)
    figures, methods, seeds = cube.shape
    members = _members(names, groups)
    limits: dict[str, Any] = {
        **{"methods": methods, "groups": len(members), "seeds": seeds},
        "detectable": detectable_correlation(len(members)),
    }
    means = cube.mean(2)
    if (means[:2] == means[:2, :1]).all(1).any():
        empty: dict[str, Any] = dict.fromkeys(_OPTIONAL)
        return Association(**limits, **empty, reason="the figure is the same for all methods")
    generator = np.random.default_rng(seed)
    drawn, weights = _resampled(cube, members, resamples, generator)
    orders = _orders(members, resamples, generator)
    low, high = _ends(_correlation(drawn[0], drawn[1], weights))
    ranks = _ranks(means)
    out: dict[str, Any] = {
        "rho": spearman(means[0], means[1]),
        **{"low": low, "high": high, "p": _permutation_p(ranks[0], ranks[1], orders)},
        **dict.fromkeys(_OPTIONAL[4:]),
    }
    if figures == 3:
        left, right = _without_control(ranks, np.ones(methods))
        if min(left.std(), right.std()) > 1e-9:
            ends = _ends(_correlation(*_without_control(drawn, weights), weights))
            out |= {"partial": float(_correlation(left, right, np.ones(methods)))}
            out |= {"partial_low": ends[0], "partial_high": ends[1]}
            out |= {"partial_p": _permutation_p(left, right, orders)}
    return Association(**limits, **out)


_OPTIONAL = ("rho", "low", "high", "p", "partial", "partial_low", "partial_high", "partial_p")


def spearman(x: Sequence[float] | NDArray, y: Sequence[float] | NDArray) -> float:
    """Spearman's ρ, ties at their mean rank; NaN where either is constant.

    Example:
        >>> spearman([1.0, 2.0, 3.0], [1.0, 4.0, 9.0])
        1.0
    """
    ranks = _ranks(np.array([x, y], np.float64))
    return float(np.round(_correlation(ranks[0], ranks[1], np.ones(len(ranks[0]))), 12))


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


def _cube(tables: Sequence[Table]) -> tuple[list[str], NDArray]:
    """Methods, and figures × methods × seeds that all methods share."""
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
    return methods, np.array(values, dtype=np.float64)


def _members(names: Sequence[str], groups: Mapping[str, str] | None) -> list[list[int]]:
    """The places of the methods of every group."""
    members: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        members.setdefault(name if groups is None else groups[name], []).append(place)
    return list(members.values())


def _resampled(
    cube: NDArray, members: Sequence[Sequence[int]], resamples: int, generator: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """Ranks of means over drawn seeds, figures × resamples × methods, and how often each is drawn.

    A method that is drawn k times counts as k equal ones, in the ranks too.
    """
    methods, seeds = cube.shape[1:]
    of_group = np.empty(methods, np.int64)
    for group, places in enumerate(members):
        of_group[list(places)] = group
    drawn = generator.integers(len(members), size=(resamples, len(members)))
    counts = np.stack([(drawn == group).sum(1) for group in range(len(members))], 1)
    weights = counts[:, of_group].astype(np.float64)
    times = generator.integers(seeds, size=(resamples, seeds))
    means = np.stack([figure[:, times].mean(2).T for figure in cube])
    ranks = np.empty_like(means)
    for place in range(methods):
        here = means[:, :, place : place + 1]
        below = (weights * (means < here)).sum(2)
        ranks[:, :, place] = below + ((weights * (means == here)).sum(2) + 1) / 2
    return ranks, weights


def _orders(
    members: Sequence[Sequence[int]], resamples: int, generator: np.random.Generator
) -> NDArray:
    """Permutations of the methods that exchange groups of one size, resamples × methods."""
    orders = np.tile(np.arange(sum(map(len, members))), (resamples, 1))
    for size in {len(places) for places in members}:
        alike = np.array([places for places in members if len(places) == size])
        chosen = generator.permuted(np.tile(np.arange(len(alike)), (resamples, 1)), axis=1)
        orders[:, alike.reshape(-1)] = alike[chosen].reshape(resamples, -1)
    return orders


def _ends(values: NDArray) -> tuple[float | None, float | None]:
    """95 % of the resamples in which both figures vary; None where too few do."""
    finite = values[np.isfinite(values)]
    if len(finite) < 0.5 * len(values):
        return None, None
    low, high = np.quantile(finite, (0.025, 0.975))
    return float(low), float(high)


def _permutation_p(x: NDArray, y: NDArray, orders: NDArray) -> float:
    """Two-sided, with the observed order among the permutations so that it is never zero."""
    x, y = x - x.mean(), y - y.mean()
    observed = abs(x @ y) * (1 - 1e-9)
    return float((1 + (np.abs(y[orders] @ x) >= observed).sum()) / (len(orders) + 1))


def _ranks(values: NDArray) -> NDArray:
    """Along the last axis, ties at their mean rank."""
    import scipy.stats

    return scipy.stats.rankdata(values, axis=-1)


def _correlation(x: NDArray, y: NDArray, weights: NDArray) -> NDArray:
    """Along the last axis, each entry as often as its weight says; NaN where either is constant."""
    x, y = (_centred(values, weights) for values in (x, y))
    size = np.sqrt((weights * x * x).sum(-1) * (weights * y * y).sum(-1))
    product = (weights * x * y).sum(-1)
    return np.divide(product, size, out=np.full_like(product, np.nan), where=size > 1e-9)


def _without_control(ranks: NDArray, weights: NDArray) -> tuple[NDArray, NDArray]:
    """Residuals of the ranks of x and y on the control's, from ranks of shape (3, ..., methods)."""
    x, y, z = _centred(ranks, weights)
    square = np.maximum((weights * z * z).sum(-1, keepdims=True), 1e-9)

    def rest(v: NDArray) -> NDArray:
        return v - z * ((weights * z * v).sum(-1, keepdims=True) / square)

    return rest(x), rest(y)


def _centred(values: NDArray, weights: NDArray) -> NDArray:
    total = (weights * values).sum(-1, keepdims=True)
    return values - total / weights.sum(-1, keepdims=True)
