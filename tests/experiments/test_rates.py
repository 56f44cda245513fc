"""The search of a rate: every rate that is given, and the ladder while an end is the best."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntklab.experiments.rates import HEAD_RATES, LADDER, next_rate, search_rate


@given(st.lists(st.sampled_from(LADDER), min_size=1, unique=True), st.integers(0, 7))
def test_a_cost_with_one_valley_is_searched_to_its_least(rates, place):
    best = LADDER[place]
    rates = tuple(rates)
    found, tried = search_rate(lambda rate: abs(math.log(rate / best)), rates, extend=True)
    assert set(rates) <= tried.keys()
    if len(rates) > 1 and min(rates) <= best <= max(rates):
        assert tried[found] == min(tried.values())
    elif len(rates) > 1:
        assert found == best


def test_without_extension_only_the_given_rates_are_tried_in_order():
    seen = []
    best, _ = search_rate(lambda rate: (seen.append(rate), (-rate, 0.0))[1], HEAD_RATES)
    assert tuple(seen) == HEAD_RATES
    assert best == max(HEAD_RATES)


def test_searches_stop_at_the_ends_of_the_ladder():
    assert next_rate({0.1: 2.0, 0.3: 1.0}, (0.1, 0.3)) is None
    assert next_rate({1e-4: 1.0, 3e-4: 2.0}, (1e-4, 3e-4)) is None
    assert next_rate({3e-4: 1.0, 1e-3: 2.0}, (3e-4, 1e-3)) == 1e-4


@pytest.mark.parametrize("rates", [(1e-3, 3e-3), (3e-3, 1e-3)])
def test_the_first_of_equal_rates_wins(rates):
    assert search_rate(lambda rate: math.inf, rates)[0] == rates[0]
