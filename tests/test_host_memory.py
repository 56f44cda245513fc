import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntklab import host_memory
from ntklab.errors import InputError
from ntklab.host_memory import enough_memory, refuse_beyond_memory
from ntklab.jacobians import parse_memory


@given(st.integers(1, 2**50))
def test_the_amount_that_is_named_is_enough_and_hardly_more(amount):
    named = parse_memory(enough_memory(amount))
    assert named >= amount
    assert named <= max(1.25 * amount + 1024, 1024)


def test_an_array_is_refused_where_it_is_larger_than_what_is_free(monkeypatch):
    monkeypatch.setattr(host_memory, "free_memory", lambda: 8000)
    refuse_beyond_memory("a factor", 10, 100)
    refuse_beyond_memory("a factor", 20, 100, itemsize=4)
    with pytest.raises(InputError, match=r"a factor of 10 × 101 numbers takes 7\.9 KiB, more than"):
        refuse_beyond_memory("a factor", 10, 101)
