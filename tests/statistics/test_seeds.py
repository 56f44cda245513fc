"""Statistics over seeds against textbook formulas, exhaustive resampling and hand counts."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.statistics import (
    by_seed,
    holm,
    mean_interval,
    median_interval,
    paired_difference,
    sign_test,
)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12), st.integers(0, 5))
def test_the_interval_lies_within_the_values_and_holds_still(values, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = median_interval(values, seed=seed)
    assert min(values) <= found.low <= found.value <= found.high <= max(values)
    assert found.value == np.median(values)
    assert found == median_interval(values, seed=seed)


def test_the_interval_agrees_with_the_exact_bootstrap_of_five_values():
    """All 5⁵ resamples of five values: the percentile interval without Monte Carlo error."""
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    indices = np.array(np.meshgrid(*[range(5)] * 5)).reshape(5, -1).T
    medians = np.median(values[indices], axis=1)
    low, high = np.quantile(medians, [0.025, 0.975], method="inverted_cdf")
    found = median_interval(values)
    assert (found.low, found.high) == (low, high)


def test_a_single_seed_and_no_seed_have_no_interval():
    assert median_interval([3.0]).low is None
    assert median_interval([3.0]).reason == "one seed has no interval"
    assert median_interval([None, None]).value is None
    assert median_interval([None, 2.0, 4.0]).seeds == 2


def test_student_intervals_cover_as_they_say():
    """1000 draws of 3 normal values: 95 % of the intervals hold the mean (a bootstrap's do not)."""
    draws = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)).tolist()
    inside = sum(found.low <= 0 <= found.high for found in map(mean_interval, draws))
    assert 930 <= inside <= 970


def test_no_values_have_no_mean():
    with pytest.raises(InputError, match="at least one seed"):
        mean_interval([])


accuracies = st.integers(0, 120).map(lambda hits: hits / 120)


@settings(max_examples=20)
@given(st.lists(st.tuples(accuracies, accuracies), min_size=2, max_size=12))
def test_figures_are_those_of_the_differences(pairs):
    found = paired_difference(
        {i: x for i, (x, _) in enumerate(pairs)}, {i: y for i, (_, y) in enumerate(pairs)}
    )
    d = np.array([x - y for x, y in pairs])
    assert found.mean == pytest.approx(d.mean(), abs=1e-12)
    assert found.median == pytest.approx(np.median(d), abs=1e-12)
    assert (found.wins, found.losses) == ((d > 1e-9).sum(), (d < -1e-9).sum())
    assert found.wins + found.losses + found.ties == found.seeds == len(pairs)
    assert d.min() - 1e-12 <= found.mean_low <= found.mean_high <= d.max() + 1e-12
    if found.effect_size is not None:
        assert found.effect_size == pytest.approx(d.mean() / d.std(ddof=1))


def test_the_interval_is_the_exact_bootstrap_of_three_seeds():
    """All 27 resamples of three differences: the percentile ends are among their means."""
    d = [0.1, 0.2, 0.6]
    found = paired_difference(dict(enumerate(d)), dict.fromkeys(range(3), 0.0))
    means = np.sort([np.mean(draw) for draw in itertools.product(d, repeat=3)])
    assert found.mean_low == pytest.approx(means[0])  # 1 of 27 is more than 2.5 %
    assert found.mean_high == pytest.approx(means[-1])
    assert found.decided == 0  # no test of three seeds can reach 0.05


@pytest.mark.parametrize(("seeds", "decided"), [(5, 0), (6, 1)])
def test_a_difference_is_decided_by_interval_and_test_together(seeds, decided):
    x = {seed: 0.8 + seed / 100 for seed in range(seeds)}
    found = paired_difference(x, dict.fromkeys(x, 0.7))
    assert found.mean_low > 0
    assert found.decided == decided
    assert paired_difference(dict.fromkeys(x, 0.7), x).decided == -decided


def test_sign_test_by_hand():
    found = paired_difference(dict.fromkeys(range(5), 0.9), dict.fromkeys(range(5), 0.8))
    assert found.sign_p == pytest.approx(2 / 2**5)
    assert found.wilcoxon_p == pytest.approx(2 / 2**5)
    assert found.effect_size is None  # the differences do not vary


def test_swapping_the_two_turns_every_sign():
    x = {0: 0.5, 1: 0.75, 2: 0.25, 3: 0.9}
    y = {0: 0.25, 1: 0.5, 2: 0.5, 3: 0.1}
    one, other = paired_difference(x, y), paired_difference(y, x)
    assert one.mean == -other.mean
    assert one.wins == other.losses
    assert one.sign_p == other.sign_p


def test_equal_runs_differ_in_nothing():
    found = paired_difference({0: 0.5, 1: 0.7}, {0: 0.5, 1: 0.7})
    assert (found.mean_low, found.mean_high, found.decided) == (0.0, 0.0, 0)
    assert (found.sign_p, found.wilcoxon_p, found.ties) == (1.0, 1.0, 2)


def test_only_shared_seeds_count_and_none_is_refused():
    assert paired_difference({0: 1.0, 1: 0.0}, {1: 0.0, 2: 5.0}).seeds == 1
    with pytest.raises(InputError, match="no seed in common"):
        paired_difference({0: 1.0}, {1: 1.0})


def test_a_seed_that_occurs_twice_is_refused():
    rows = [{"seed": 0, "x": 1.0, "method": "lora"}] * 2
    with pytest.raises(InputError, match="occurs twice"):
        by_seed(rows, "x", method="lora")


def rows(method, values, **extra):
    return [{"method": method, "seed": s, "trace": v, **extra} for s, v in enumerate(values)]


def test_the_sign_test_pairs_seeds():
    one, other = rows("lora", [3, 3, 3, 3, 1]), rows("tera", [1, 1, 2, 3, 2])
    found = sign_test([*one, *reversed(other)], "trace", "lora", "tera")
    assert (found["wins"], found["losses"], found["ties"]) == (3, 1, 1)
    assert found["p_value"] == pytest.approx(scipy.stats.binomtest(3, 4).pvalue)
    ties = sign_test([*rows("lora", [1]), *rows("tera", [1])], "trace", "lora", "tera")
    assert ties["p_value"] == 1.0


def test_the_sign_test_refuses_what_it_cannot_pair():
    with pytest.raises(InputError, match="no seed has trace"):
        sign_test(rows("lora", [1.0]), "trace", "lora", "tera")
    with pytest.raises(InputError, match="occurs twice"):
        sign_test(rows("lora", [1.0]) * 2, "trace", "lora", "tera")


def rejected(p_values, level):
    """Step down: reject while the smallest left is below level over how many are left."""
    left, out = list(range(len(p_values))), set()
    while left:
        i = min(left, key=lambda j: p_values[j])
        if p_values[i] * len(left) > level:
            break
        out.add(i)
        left.remove(i)
    return out


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=6), st.sampled_from([0.01, 0.05, 0.3]))
def test_rejects_what_stepping_down_rejects(p_values, level):
    found = {i for i, p in enumerate(holm(p_values)) if p <= level}
    assert found == rejected(p_values, level)


def test_one_comparison_is_left_alone():
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_what_is_no_probability_is_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        holm([1.2])
