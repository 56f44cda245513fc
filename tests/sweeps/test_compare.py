import warnings

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.sweeps import compare, median_interval, sign_test


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12), st.integers(0, 5))
def test_the_interval_lies_within_the_values_and_holds_still(values, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = median_interval(values, seed=seed)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)
    assert found.median == np.median(values)
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
    assert median_interval([None, None]).median is None
    assert median_interval([None, 2.0, 4.0]).seeds == 2


def rows(method, values, **extra):
    return [{"method": method, "seed": s, "trace": v, **extra} for s, v in enumerate(values)]


def test_rows_that_differ_in_more_than_the_seed_are_not_mixed():
    given_rows = [
        *rows("lora", [1.0, 2.0, 3.0], data_condition="clean"),
        *rows("lora", [10.0], data_condition="noisy"),
        *rows("tera", [5.0, 7.0], data_condition="clean"),
    ]
    found = compare(given_rows, ["trace"])
    assert [(r["method"], r["data_condition"], r["trace"], r["seeds"]) for r in found] == [
        ("lora", "clean", 2.0, 3),
        ("lora", "noisy", 10.0, 1),
        ("tera", "clean", 6.0, 2),
    ]
    assert [r["reason"] for r in found] == [None, "one seed has no interval (trace)", None]


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
