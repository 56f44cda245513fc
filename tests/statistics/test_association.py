"""Rank correlation and equivalence against scipy, in planted worlds, and at their level."""

import numpy as np
import pytest
import scipy.stats

from ntklab.errors import InputError
from ntklab.statistics import (
    association,
    detectable_correlation,
    equivalence,
    friedman,
    spearman,
)
from ntklab.statistics.association import _correlation, _orders, _resampled, _without_control


def table(values, noise=0.0, seeds=5, seed=0):
    rng = np.random.default_rng(seed)
    return {
        f"m{k}": {s: float(value + noise * rng.normal()) for s in range(seeds)}
        for k, value in enumerate(values)
    }


def test_spearman_is_scipys_with_ties():
    rng = np.random.default_rng(0)
    x, y = rng.integers(4, size=20), rng.integers(6, size=20)
    assert spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))


def test_p_of_a_permutation_is_near_that_of_t():
    rng = np.random.default_rng(1)
    x = rng.normal(size=24)
    y = 0.5 * x + rng.normal(size=24)
    result = association(table(x), table(y), resamples=5000)
    expected = scipy.stats.spearmanr(x, y)
    assert result.rho == pytest.approx(expected.statistic)
    assert result.p == pytest.approx(expected.pvalue, rel=0.3, abs=0.005)
    assert result.low < result.rho < result.high


def test_a_confounder_is_taken_out():
    """x and y follow the control and nothing else; the plain correlation is strong."""
    rng = np.random.default_rng(2)
    control = np.arange(30.0)
    x, y = control + 4 * rng.normal(size=30), control + 4 * rng.normal(size=30)
    result = association(table(x), table(y), control=table(control))
    assert result.rho > 0.7
    assert result.p < 0.01
    assert result.partial_low < 0 < result.partial_high
    assert result.partial_p > 0.05
    ranks = [scipy.stats.rankdata(v) for v in (x, y, control)]
    rxy, rxz, ryz = (np.corrcoef(ranks[a], ranks[b])[0, 1] for a, b in ((0, 1), (0, 2), (1, 2)))
    expected = (rxy - rxz * ryz) / ((1 - rxz**2) * (1 - ryz**2)) ** 0.5
    assert result.partial == pytest.approx(expected)
    direct = association(table(x), table(x + 0.1 * y), control=table(control))
    assert direct.partial_low > 0.5


def test_noise_between_seeds_widens_the_interval():
    values = np.arange(12.0)
    quiet = association(table(values, 0.1), table(values, 0.1, seed=1))
    loud = association(table(values, 8.0), table(values, 8.0, seed=1))
    assert loud.high - loud.low > 2 * (quiet.high - quiet.low)


def test_the_permutation_test_keeps_its_level():
    rng = np.random.default_rng(3)
    wrong = 0
    for trial in range(200):
        x, y = rng.normal(size=10), rng.normal(size=10)
        wrong += association(table(x), table(y), resamples=199, seed=trial).p < 0.05
    assert 2 <= wrong <= 22  # binomial(200, 0.05): 99.9 % between


def test_a_resample_with_weights_is_one_with_copies():
    """The ranks and correlation of drawn methods against scipy's, of the methods written out."""
    rng = np.random.default_rng(8)
    members = [[0, 1], [2], [3], [4, 5], [6], [7]]
    cube = rng.integers(5, size=(3, 8, 4)).astype(float)  # with ties
    ranks, weights = _resampled(cube, members, 50, np.random.default_rng(0))
    generator = np.random.default_rng(0)
    groups = generator.integers(6, size=(50, 6))
    times = generator.integers(4, size=(50, 4))
    whole = _correlation(ranks[0], ranks[1], weights)
    partial = _correlation(*_without_control(ranks, weights), weights)
    for k in range(50):
        places = [place for group in groups[k] for place in members[group]]
        values = cube[:, places][:, :, times[k]].mean(2)
        xy, xz, yz = (
            scipy.stats.spearmanr(values[a], values[b]).statistic
            for a, b in ((0, 1), (0, 2), (1, 2))
        )
        if np.isfinite([xy, xz, yz]).all() and max(abs(xz), abs(yz)) < 0.999:
            assert whole[k] == pytest.approx(xy, abs=1e-9)
            wanted = (xy - xz * yz) / ((1 - xz**2) * (1 - yz**2)) ** 0.5
            assert partial[k] == pytest.approx(wanted, abs=1e-9)


def test_permutations_move_whole_groups():
    members = [[0, 1], [2], [3, 4], [5], [6]]
    orders = _orders(members, 200, np.random.default_rng(0))
    assert {tuple(sorted(order)) for order in orders.tolist()} == {tuple(range(7))}
    pairs = {tuple(order[:2]) for order in orders.tolist()}
    assert pairs == {(0, 1), (3, 4)}
    assert {order[2] for order in orders.tolist()} == {2, 5, 6}


def test_sizes_of_one_method_are_no_evidence_of_their_own():
    """Twelve methods in an order of chance: each written down four times looks certain."""
    rng = np.random.default_rng(9)
    level, naive, width = 0, 0, []
    for trial in range(60):
        x, y = rng.normal(size=12), rng.normal(size=12)
        copies = [table(np.repeat(v, 4) + 0.01 * rng.normal(size=48)) for v in (x, y)]
        groups = {f"m{k}": str(k // 4) for k in range(48)}
        whole = association(*copies, resamples=199, seed=trial)
        grouped = association(*copies, groups=groups, resamples=199, seed=trial)
        assert (whole.groups, grouped.groups, grouped.methods) == (48, 12, 48)
        assert grouped.rho == whole.rho
        naive, level = naive + (whole.p < 0.05), level + (grouped.p < 0.05)
        width.append((grouped.high - grouped.low) / (whole.high - whole.low))
    assert naive > 12
    assert level <= 9  # binomial(60, 0.05): 99.9 %
    assert np.median(width) > 1.5


def test_power_is_what_it_says():
    """Gaussian pairs of the detectable correlation are seen about four times in five."""
    n = 24
    rho = 2 * np.sin(np.pi * detectable_correlation(n) / 6)  # Pearson's of that Spearman
    rng = np.random.default_rng(4)
    seen = 0
    for _ in range(400):
        x = rng.normal(size=n)
        y = rho * x + (1 - rho**2) ** 0.5 * rng.normal(size=n)
        seen += scipy.stats.spearmanr(x, y).pvalue < 0.05
    assert 0.7 < seen / 400 < 0.9


def test_a_constant_figure_ranks_nothing():
    result = association(table(np.zeros(8)), table(np.arange(8.0)))
    assert result.rho is None
    assert "same for all methods" in result.reason


def test_too_few_methods_or_seeds_get_a_sentence():
    with pytest.raises(InputError, match="3 methods with 5 shared seeds cannot be ranked"):
        association(table([1, 2, 3]), table([1, 2, 3]))
    other = {name: {s + 5: v for s, v in seeds.items()} for name, seeds in table(range(6)).items()}
    with pytest.raises(InputError, match="6 methods with 0 shared seeds"):
        association(table(range(6)), other)


def test_friedman_sees_shapes_that_differ_and_not_those_that_do_not():
    rng = np.random.default_rng(5)
    base = rng.normal(size=6)
    same = {name: {s: base[s] + 0.1 * rng.normal() for s in range(6)} for name in "abcd"}
    worse = same | {"d": {s: base[s] - 1 for s in range(6)}}
    assert friedman(worse) < 0.05 < friedman(same)
    assert friedman({name: {0: 1.0, 1: 2.0} for name in "abc"}) == 1.0
    with pytest.raises(InputError, match="needs 3 settings"):
        friedman({"a": {0: 1.0, 1: 1.0}})


@pytest.mark.parametrize(
    ("shift", "noise", "outcome"),
    [
        (0.0, 0.003, "equivalent"),
        (0.05, 0.003, "above"),
        (-0.05, 0.003, "below"),
        (0.0, 0.05, "undecided"),
        (0.02, 0.003, "undecided"),  # on the margin
    ],
)
def test_equivalence_in_planted_worlds(shift, noise, outcome):
    rng = np.random.default_rng(6)
    y = {s: 0.8 + 0.1 * rng.normal() for s in range(6)}
    errors = noise * np.array([1, -1, 0.5, -0.5, 1, -1])
    x = {s: y[s] + shift + errors[s] for s in y}
    result = equivalence(x, y, margin=0.02)
    assert result.outcome == outcome
    assert (result.smallest_margin < 0.02) == (outcome == "equivalent")
    d = [x[s] - y[s] for s in y]
    assert result.p_difference == pytest.approx(
        scipy.stats.ttest_rel([*x.values()], [*y.values()]).pvalue
    )
    assert result.p_below == pytest.approx(
        scipy.stats.ttest_1samp(d, -0.02, alternative="greater").pvalue
    )


def test_equal_values_are_equivalent_with_no_width():
    x = {0: 0.5, 1: 0.7, 2: 0.6}
    result = equivalence(x, x, margin=0.01)
    assert (result.outcome, result.smallest_margin, result.p_difference) == ("equivalent", 0.0, 1.0)
    moved = equivalence({s: v + 0.25 for s, v in x.items()}, x, margin=0.01)
    assert (moved.outcome, moved.p_difference) == ("above", 0.0)


def test_equivalence_keeps_its_level_at_the_margin():
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(400):
        d = 0.02 + 0.01 * rng.normal(size=6)
        wrong += equivalence(dict(enumerate(d)), dict.fromkeys(range(6), 0.0), margin=0.02).p < 0.05
    assert wrong / 400 < 0.09


def test_equivalence_needs_two_seeds_and_a_margin():
    with pytest.raises(InputError, match="1 shared seeds"):
        equivalence({0: 1.0, 1: 1.0}, {0: 1.0}, margin=1)
    with pytest.raises(InputError, match="must be positive"):
        equivalence({0: 1.0, 1: 1.0}, {0: 1.0, 1: 2.0}, margin=0)
