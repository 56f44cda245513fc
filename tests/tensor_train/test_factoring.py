from itertools import product
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.tensor_train.factoring import (
    balanced_modes,
    count_ordered_factorings,
    divisors,
    head_modes,
    ordered_factorings,
    prime_factors,
)

modest = settings(max_examples=60, deadline=None)
sizes = st.integers(1, 60_000)


@modest
@given(number=sizes)
def test_prime_factors(number):
    primes = prime_factors(number)
    assert prod(primes) == number
    assert list(primes) == sorted(primes)
    assert all(p > 1 and all(p % q for q in range(2, int(p**0.5) + 1)) for p in primes)


@modest
@given(size=sizes, length=st.integers(1, 6))
def test_balanced_modes(size, length):
    modes = balanced_modes(size, length)
    assert prod(modes) == size
    assert len(modes) == length
    largest = [max(prime_factors(mode), default=1) for mode in modes]
    assert largest == sorted(largest)


@modest
@given(exponent=st.integers(0, 20), length=st.integers(1, 5))
def test_powers_of_two_are_as_even_as_can_be(exponent, length):
    modes = balanced_modes(2**exponent, length)
    assert max(modes) <= 2 * min(modes)
    assert list(modes) == sorted(modes, reverse=True) or 1 in modes


@modest
@given(rows=st.integers(1, 60_000), width=st.integers(1, 5000), length=st.integers(1, 6))
def test_head_modes(rows, width, length):
    modes = head_modes(rows, width, length)
    size = rows * width
    assert prod(modes) == size
    assert len(modes) == length
    fitting = [q for q in range(1, width + 1) if width % q == 0 and q * q <= width]
    block = max(q for q in fitting if q**length <= size)
    if length > 1 and (2 * block) ** length >= size:
        assert modes[-1] == block
    else:
        assert modes == balanced_modes(size, length)


@modest
@given(size=st.integers(1, 200), length=st.integers(1, 3))
def test_ordered_factorings_against_brute_force(size, length):
    slow = [t for t in product(divisors(size), repeat=length) if prod(t) == size]
    found = list(ordered_factorings(size, length))
    assert sorted(found) == sorted(slow)
    assert count_ordered_factorings(size, length) == len(slow)


@pytest.mark.parametrize("bad", [0, -3, 2.0, True])
def test_only_whole_numbers(bad):
    with pytest.raises(InputError, match="whole number"):
        prime_factors(bad)


def test_a_train_needs_a_core():
    with pytest.raises(InputError, match="length 0"):
        balanced_modes(8, 0)
