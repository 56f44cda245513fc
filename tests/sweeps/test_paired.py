"""Paired statistics against textbook formulas and hand counts."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.sweeps.paired import by_seed, paired_difference

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
