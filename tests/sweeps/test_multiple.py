"""Holm's procedure against its definition, step by step."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.sweeps.multiple import holm


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
