"""The bounds that error estimates stand on."""

from fractions import Fraction

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.spectra.rounding import (
    eigen_perturbation,
    gamma,
    gamma_likely,
    gram_rounding,
    norm_above,
    orthogonality_defect,
)


def test_gamma_orders():
    for n in (1, 10, 10**6):
        assert n * 2.0**-53 <= gamma(n) < n * 2.0**-53 * (1 + 1e-9)
        assert gamma_likely(n) <= gamma(n)
    assert gamma_likely(10**6) == pytest.approx(8 * 1000 * 2.0**-53, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(1e-100, 1e3) | st.floats(-1e3, -1e-100), min_size=1, max_size=20),
    st.sampled_from([1.0, 1e-170]),
)
def test_norm_is_from_above(entries, scale):
    x = torch.tensor(entries, dtype=torch.float64) * scale
    square = sum(Fraction(v) ** 2 for v in x.tolist())
    assert square <= Fraction(norm_above(x)) ** 2 <= square * (1 + Fraction(1, 10**12))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 40), st.integers(0, 99))
def test_gram_rounding_covers_the_exact_product(n, k, seed):
    J = torch.randn(n, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    K = J @ J.T
    with mpmath.workdps(50):
        M = mpmath.matrix(J.tolist())
        error = mpmath.mnorm(M * M.T - mpmath.matrix(K.tolist()), "f")
    assert error <= gram_rounding(float(K.trace()), k, certain=True)
    assert error <= gram_rounding(float(K.trace()), k)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 5), st.floats(0, 1e-2), st.integers(0, 99))
def test_perturbation_covers_spoiled_decompositions(n, spoil, seed):
    generator = torch.Generator().manual_seed(seed)
    A = torch.randn(n, n, generator=generator, dtype=torch.float64)
    K = A + A.T
    values, V = torch.linalg.eigh(K)
    V = V + spoil * torch.randn(n, n, generator=generator, dtype=torch.float64)
    values = values + spoil
    with mpmath.workdps(40):
        exact = sorted(mpmath.eigsy(mpmath.matrix(K.tolist()), eigvals_only=True))
    bound = eigen_perturbation(K, values, V).at(values)
    for value, truth, radius in zip(values.tolist(), exact, bound.tolist(), strict=True):
        assert abs(truth - value) <= radius
    true_defect = torch.linalg.matrix_norm(V.T @ V - torch.eye(n).double(), 2)
    assert float(true_defect) <= orthogonality_defect(V)
