import itertools
import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntklab.bounds import (
    exact_rademacher,
    kappa_bound,
    khintchine_bound,
    lambda_min_bound,
    largest_feature_norm,
    monte_carlo_rademacher,
    trace_bound,
)
from ntklab.errors import InputError
from ntklab.spectra import spectrum


def by_loops(K: torch.Tensor, n_samples: int, radius: float) -> float:
    """The definition, in 30 digits: mean over all signs of B/N √(σᵀKσ)."""
    entries, size = K.tolist(), len(K)
    with mpmath.workdps(30):
        total = mpmath.mpf(0)
        for signs in itertools.product((-1, 1), repeat=size):
            form = mpmath.fsum(
                entries[i][j] * signs[i] * signs[j] for i in range(size) for j in range(size)
            )
            total += mpmath.sqrt(max(form, 0))
        return float(radius * total / 2**size / n_samples)


@pytest.mark.parametrize(("size", "rank", "outputs"), [(1, 1, 1), (6, 2, 1), (8, 8, 2), (9, 4, 3)])
def test_enumeration_is_the_definition(random_kernel, size, rank, outputs):
    K = random_kernel(size, rank)
    samples = size // outputs
    found = exact_rademacher(K, n_samples=samples, radius=1.7)
    assert found.exact
    assert found.value == pytest.approx(by_loops(K, samples, 1.7), rel=1e-12)
    assert found.draws == 2**size


@pytest.mark.parametrize("seed", range(5))
def test_monte_carlo_agrees_within_four_standard_errors(random_kernel, seed):
    K = random_kernel(12, 1 + 3 * seed, seed)
    exact = exact_rademacher(K).value
    sampled = monte_carlo_rademacher(K, draws=3000, seed=seed)
    assert abs(sampled.value - exact) <= 4 * sampled.standard_error
    assert sampled.standard_error < 0.05 * exact
    assert sampled.low < sampled.value < sampled.high


def test_interval_covers_as_often_as_it_says(random_kernel):
    K = random_kernel(10, 3)
    exact = exact_rademacher(K).value
    runs = [monte_carlo_rademacher(K, draws=60, confidence=0.8, seed=s) for s in range(300)]
    covered = sum(run.low <= exact <= run.high for run in runs)
    # Binomial(300, 0.8) leaves [205, 270] with probability below 1e-4 on either side.
    assert 205 <= covered <= 270


def test_ceiling_is_above_the_truth_with_the_stated_probability(random_kernel):
    K = random_kernel(10, 1)  # rank one spreads the most
    exact = exact_rademacher(K).value
    runs = [monte_carlo_rademacher(K, draws=20, seed=s) for s in range(200)]
    assert sum(run.ceiling(0.1) < exact for run in runs) <= 20
    assert all(run.as_bound(0.1).value <= run.trace_form for run in runs)
    assert exact_rademacher(K).ceiling(0.1) == exact


def test_seed_decides_the_draws(random_kernel):
    K = random_kernel(8, 8)
    first, again, other = (monte_carlo_rademacher(K, draws=50, seed=s).value for s in (1, 1, 2))
    assert first == again != other


@given(
    size=st.integers(1, 9), rank=st.integers(1, 9), seed=st.integers(0, 999), B=st.floats(0.1, 9)
)
def test_sandwiched_between_khintchine_and_trace(size, rank, seed, B):
    g = torch.Generator().manual_seed(seed)
    A = torch.randn(size, rank, generator=g, dtype=torch.float64)
    K = A @ A.T
    exact = exact_rademacher(K, radius=B).value
    lower = khintchine_bound(K, radius=B, measured=exact)
    upper = trace_bound(K, radius=B, measured=exact)
    kappa = kappa_bound(K, radius=B, measured=exact)
    assert lower.holds
    assert upper.holds
    assert kappa.holds
    assert upper.value == pytest.approx(math.sqrt(2) * lower.value)
    assert kappa.value >= upper.value * (1 - 1e-12)


def test_khintchine_constant_is_attained_so_no_larger_one_is_true():
    K = torch.ones(2, 2, dtype=torch.float64)
    bound = khintchine_bound(K, measured=exact_rademacher(K).value)
    assert bound.value == pytest.approx(bound.measured, rel=1e-15)


def test_kappa_sums_over_a_samples_outputs():
    K = torch.diag(torch.tensor([1.0, 8.0, 4.0, 4.0]))
    assert largest_feature_norm(K, 2) == 3.0
    assert kappa_bound(K, n_samples=2, radius=2.0).value == pytest.approx(6 / math.sqrt(2))


@given(
    size=st.integers(1, 12), extra=st.integers(0, 8), seed=st.integers(0, 999), sign=st.integers()
)
def test_lambda_min_route_never_says_anything_for_signs(size, extra, seed, sign):
    """Theory P6, for every kernel and all labels ±1."""
    g = torch.Generator().manual_seed(seed)
    A = torch.randn(size, size + extra, generator=g, dtype=torch.float64)
    K = A @ A.T
    y = torch.tensor([1.0 if sign >> i & 1 else -1.0 for i in range(size)])
    found = spectrum(K)
    bound = lambda_min_bound(found, y)
    if bound.value is None:
        assert found.lambda_min == 0
    else:
        assert bound.value >= 1 - 1e-9
        low = float(torch.linalg.eigvalsh(K)[0])
        expected = math.sqrt(size / low) * math.sqrt(float(K.trace())) / size
        assert bound.value == pytest.approx(expected, rel=1e-4)
        assert bound.vacuous or bound.value >= 1 - 1e-9


def test_lambda_min_route_has_no_value_for_a_singular_kernel(random_kernel):
    found = spectrum(random_kernel(6, 3))
    assert found.lambda_min_nonzero > 0
    bound = lambda_min_bound(found, torch.ones(6))
    assert (bound.value, bound.vacuous) == (None, True)
    assert "rank 3 of 6" in bound.reason


def test_refusals(random_kernel):
    K = random_kernel(4, 4)
    with pytest.raises(InputError, match="does not divide"):
        exact_rademacher(K, n_samples=3)
    with pytest.raises(InputError, match="2\\^21"):
        exact_rademacher(torch.eye(21))
    with pytest.raises(InputError, match="radius"):
        trace_bound(K, radius=-1.0)
    with pytest.raises(InputError, match="draws"):
        monte_carlo_rademacher(K, draws=1)
    with pytest.raises(InputError, match="confidence"):
        monte_carlo_rademacher(K, confidence=1.0)
    with pytest.raises(InputError, match="labels"):
        lambda_min_bound(spectrum(K), torch.ones(3))
