import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from ntklab.bounds import critical_level, exact_rademacher, local_rademacher, trace_bound
from ntklab.errors import InputError
from ntklab.spectra import Spectrum, spectrum


def by_enumeration(K: np.ndarray, level: float, radius: float) -> float:
    """(1/N) E sup σᵀf, f = A b with ‖b‖ ≤ B and ‖A b‖² ≤ N r, each sup by its Lagrange dual."""
    size = len(K)
    values, vectors = np.linalg.eigh(K)
    keep = values > 1e-10 * values[-1]
    values, vectors = values[keep], vectors[:, keep]
    total = 0.0
    for signs in itertools.product((-1, 1), repeat=size - 1):
        slopes = np.sqrt(values) * (vectors.T @ np.array([1, *signs]))

        def dual(log_multipliers, slopes=slopes):
            a, b = np.exp(log_multipliers)
            return (slopes**2 / (a + b * values)).sum() / 4 + a * radius**2 + b * size * level

        # The dual in logarithms is quasi-smooth; restarts guard against flat regions.
        starts = ([-1, -1], [2, -3], [-3, 2], [3, 3])
        total += min(minimize(dual, s, method="Nelder-Mead", tol=1e-10).fun for s in starts)
    return total / 2 ** (size - 1) / size


@pytest.mark.parametrize("level", [0.01, 0.3, 100.0])
def test_bounds_the_enumerated_supremum(random_kernel, level):
    K = random_kernel(6, 4) * torch.tensor([1.0, 3, 0.1, 1, 2, 0.5]).double().outer(
        torch.tensor([1.0, 3, 0.1, 1, 2, 0.5]).double()
    )
    measured = by_enumeration(K.numpy(), level, 1.5)
    bound = local_rademacher(spectrum(K), level, radius=1.5, measured=measured)
    assert bound.holds
    assert measured <= bound.ingredients["mixed"] * (1 + 1e-9)
    assert bound.ingredients["mixed"] <= bound.value * (1 + 1e-12)
    assert bound.value < 2.2 * measured
    if level == 100.0:  # the level does not bind: the whole ball
        assert measured == pytest.approx(exact_rademacher(K, radius=1.5).value, rel=1e-5)
        assert bound.ingredients["mixed"] == pytest.approx(
            trace_bound(K, radius=1.5).value, rel=0.05
        )


def test_by_hand_with_repeated_eigenvalues():
    s = Spectrum.from_values(torch.tensor([8.0, 1.0]), multiplicity=torch.tensor([2, 3]), size=10)
    # N = 5, B = 2: masses 6.4, 6.4, 0.8 ×3; cut at 1
    bound = local_rademacher(s, 1.0, n_samples=5, radius=2.0)
    assert bound.value == pytest.approx(math.sqrt(2 / 5 * (1 + 1 + 2.4)))


@given(values=st.lists(st.floats(1e-8, 1e4), min_size=1, max_size=8), B=st.floats(0.01, 100))
def test_critical_level_is_the_fixed_point(values, B):
    s = Spectrum.from_values(torch.tensor(values, dtype=torch.float64), size=12)
    level = critical_level(s, radius=B)
    assert local_rademacher(s, level, radius=B).value == pytest.approx(level, rel=1e-9)
    assert local_rademacher(s, 2 * level, radius=B).value < 2 * level
    assert local_rademacher(s, level / 2, radius=B).value > level / 2


def test_zero_kernel_and_refusals():
    zero = Spectrum.from_values(torch.zeros(2), size=2)
    assert critical_level(zero) == 0.0
    assert local_rademacher(zero, 1.0).value == 0.0
    with pytest.raises(InputError, match="level"):
        local_rademacher(zero, 0.0)
