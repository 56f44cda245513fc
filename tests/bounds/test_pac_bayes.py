import math

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal, kl_divergence

from ntklab.bounds import (
    best_tangent_posterior,
    compression_bound,
    gibbs_error,
    kl_inverse,
    pac_bayes_bound,
    tangent_posterior,
)
from ntklab.errors import InputError
from ntklab.spectra import DenseJacobian, spectrum


@pytest.mark.parametrize(("rows", "columns"), [(5, 8), (8, 5)])
@pytest.mark.parametrize(("scale", "noise"), [(1.0, 1.0), (0.3, 2.0), (4.0, 0.1)])
def test_closed_forms_against_the_parameters(rows, columns, scale, noise):
    g = torch.Generator().manual_seed(rows)
    J = torch.randn(rows, columns, generator=g, dtype=torch.float64)
    y = torch.randn(rows, generator=g, dtype=torch.float64)
    eye = torch.eye(columns, dtype=torch.float64)
    covariance = torch.linalg.inv(eye / scale**2 + J.T @ J / noise**2)
    covariance = (covariance + covariance.T) / 2
    centre = covariance @ J.T @ y / noise**2
    prior = MultivariateNormal(torch.zeros(columns).double(), scale**2 * eye)
    expected = float(kl_divergence(MultivariateNormal(centre, covariance), prior))
    found = tangent_posterior(
        spectrum(DenseJacobian(J), vectors=True), y, prior_scale=scale, noise=noise
    )
    assert found.kl == pytest.approx(expected, rel=1e-9)
    assert found.step == pytest.approx(float(centre.norm()), rel=1e-9)
    torch.testing.assert_close(found.mean, J @ centre)
    torch.testing.assert_close(found.variance, (J @ covariance @ J.T).diagonal())


def test_gibbs_error_against_drawing():
    g = torch.Generator().manual_seed(0)
    mean = torch.randn(6, generator=g, dtype=torch.float64)
    variance = torch.rand(6, generator=g, dtype=torch.float64)
    y = torch.tensor([1.0, -1, 1, 1, -1, -1], dtype=torch.float64)
    draws = mean + variance.sqrt() * torch.randn(200_000, 6, generator=g, dtype=torch.float64)
    wrong = ((draws * y) <= 0).double().mean(dim=1)
    error = float(wrong.std()) / 200_000**0.5
    assert abs(gibbs_error(mean, variance, y) - float(wrong.mean())) < 4 * error
    assert gibbs_error(mean, torch.zeros(6), y) == float((mean * y <= 0).double().mean())


@given(q=st.floats(0, 0.999), c=st.floats(1e-6, 5))
def test_kl_inverse_against_thirty_digits(q, c):
    found = kl_inverse(q, c)
    assert q <= found <= 1
    with mpmath.workdps(40):

        def kl(p):
            first = q * mpmath.log(mpmath.mpf(q) / p) if q else 0
            return first + (1 - mpmath.mpf(q)) * mpmath.log((1 - mpmath.mpf(q)) / (1 - p))

        low, high = mpmath.mpf(q), mpmath.mpf(1) - mpmath.mpf(10) ** -30
        for _ in range(120):
            middle = (low + high) / 2
            low, high = (middle, high) if kl(middle) <= c else (low, middle)
    assert found == pytest.approx(float(low), abs=1e-12)
    assert found >= float(low) - 1e-15


def test_bounds_by_hand_and_their_order():
    common = {"train_error": 0.1, "kl": 5.0, "n_samples": 400, "delta": 0.05}
    budget = (5 + math.log(40 / 0.05)) / 400
    pinsker = pac_bayes_bound(**common, invert=False)
    assert pinsker.value == pytest.approx(0.1 + math.sqrt(budget / 2), rel=1e-14)
    inverted = pac_bayes_bound(**common, measured=0.12)
    q, p = 0.1, inverted.value
    kl = q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))
    assert kl == pytest.approx(budget, rel=1e-9)
    assert inverted.value < pinsker.value
    assert inverted.holds


def test_too_few_samples_have_no_bound():
    assert "N ≥ 8 fails: N = 7" in pac_bayes_bound(train_error=0, kl=0, n_samples=7).reason


def test_best_posterior_is_the_least_of_the_grid_at_its_own_price():
    g = torch.Generator().manual_seed(1)
    A = torch.randn(40, 3, generator=g, dtype=torch.float64)
    y = (A[:, 0] > 0).double() * 2 - 1
    start = 0.1 * A[:, 1]
    s = spectrum(A @ A.T, vectors=True)
    posterior, bound = best_tangent_posterior(s, y, start=start, doublings=3, noises=(0.5, 2.0))
    values = []
    for j in range(3):
        for noise in (0.5, 2.0):
            p = tangent_posterior(s, y - start, prior_scale=2.0**j, noise=noise)
            budget = p.kl + math.log(2 * 40**0.5 * math.pi**2 * (j + 1) ** 2 / (6 * 0.05))
            values.append(kl_inverse(p.gibbs_error(y, start), budget / 40))
    assert bound.value == pytest.approx(min(values), rel=1e-12)
    assert not bound.vacuous
    assert bound.ingredients["kl"] == posterior.kl
    with pytest.raises(InputError, match="labels"):
        best_tangent_posterior(s, 2 * y)


def test_compression_is_hoeffding_over_all_codes():
    """With 2^b equally likely codes the union bound over Hoeffding's inequality is the formula."""
    bound = compression_bound(
        train_error=0.2, effective_parameters=3, bits=4, n_samples=500, delta=0.1, overhead_bits=1
    )
    radius = bound.value - 0.2
    assert 2**13 * math.exp(-2 * 500 * radius**2) == pytest.approx(0.1, rel=1e-9)
    assert not bound.vacuous
    with pytest.raises(InputError, match="bits"):
        compression_bound(train_error=0, effective_parameters=1, bits=-1, n_samples=5)


def test_refusals():
    s = spectrum(torch.eye(2), vectors=True)
    with pytest.raises(InputError, match="noise"):
        tangent_posterior(s, torch.ones(2), noise=0.0)
    with pytest.raises(InputError, match="budget"):
        kl_inverse(0.5, -1.0)
    with pytest.raises(InputError, match="delta"):
        pac_bayes_bound(train_error=0, kl=1, n_samples=10, delta=2)
    assert kl_inverse(1.0, 0.3) == 1.0
    assert kl_inverse(0.25, 0.0) == 0.25
