from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.spectra.rational import (
    LARGEST,
    characteristic_polynomial,
    count_below,
    least_eigenvalue,
    rational_gram,
)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_least_eigenvalue_agrees_with_eigh(rows, columns, seed):
    J = torch.from_numpy(np.random.default_rng(seed).integers(-3, 4, (rows, columns))).double()
    low, high = least_eigenvalue(rational_gram(J), width=Fraction(1, 10**9))
    expected = float(torch.linalg.eigvalsh(J @ J.T)[0])
    assert float(low) - 1e-8 <= expected <= float(high) + 1e-8


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=6), st.fractions(-5, 5))
@settings(max_examples=50, deadline=None)
def test_count_is_that_of_the_roots(roots, x):
    diagonal = [
        [Fraction(root) if i == j else Fraction() for j in range(len(roots))]
        for i, root in enumerate(roots)
    ]
    polynomial = characteristic_polynomial(diagonal)
    assert polynomial == [Fraction(int(c)) for c in np.poly(roots).round()]
    assert count_below(polynomial, x) == sum(root < x for root in roots)


def test_a_kernel_of_floats_is_exact():
    K = rational_gram(torch.tensor([[0.1, 0.2]], dtype=torch.float64))
    assert K[0][0] == Fraction(0.1) ** 2 + Fraction(0.2) ** 2


def test_an_interval_that_ends_at_the_eigenvalue_keeps_it():
    low, high = least_eigenvalue([[1, 0], [0, 1]])
    assert low <= 1 < high


def test_refusals():
    with pytest.raises(InputError, match="finite"):
        rational_gram(torch.tensor([[float("nan")]]))
    with pytest.raises(InputError, match=f"at most {LARGEST}"):
        rational_gram(torch.zeros(LARGEST + 1, 1))
    with pytest.raises(InputError, match="symmetric"):
        least_eigenvalue([[1, 2], [3, 4]])
    with pytest.raises(InputError, match="positive width"):
        least_eigenvalue([[1]], width=Fraction(0))
