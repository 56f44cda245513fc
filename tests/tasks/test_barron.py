import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from ntklab.errors import InputError
from ntklab.tasks.barron import BarronTarget, barron_target


def draw(d, terms, seed, bandwidth=2.0):
    eigenvalues = 1.0 / torch.arange(1, d + 1, dtype=torch.float64)
    return eigenvalues, barron_target(eigenvalues, terms=terms, seed=seed, bandwidth=bandwidth)


@given(d=st.integers(1, 6), terms=st.integers(1, 8), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_value_and_constant_equal_their_sums(d, terms, seed):
    _, target = draw(d, terms, seed)
    x = torch.randn(3, d, dtype=torch.float64)
    for row, value in zip(x.tolist(), target(x).tolist(), strict=True):
        slow = sum(
            a * math.cos(sum(w * xi for w, xi in zip(omega, row, strict=True)) + b)
            for a, omega, b in zip(
                target.amplitudes.tolist(),
                target.frequencies.tolist(),
                target.phases.tolist(),
                strict=True,
            )
        )
        assert math.isclose(value, slow, abs_tol=1e-12)
    slow = sum(
        abs(a) * math.hypot(*omega)
        for a, omega in zip(target.amplitudes.tolist(), target.frequencies.tolist(), strict=True)
    )
    assert math.isclose(target.constant, slow, rel_tol=1e-12)


def test_the_constant_bounds_the_slope_and_one_cosine_attains_it():
    """|∇f| ≤ Σ |a_k| ‖ω_k‖ everywhere; for one cosine the bound is its steepest slope."""
    _, target = draw(3, 8, seed=0)
    x = torch.randn(500, 3, dtype=torch.float64, requires_grad=True)
    slopes = torch.autograd.grad(target(x).sum(), x)[0].norm(dim=1)
    assert slopes.max() <= target.constant
    one = BarronTarget(torch.tensor([1.5]), torch.tensor([[0.6, 0.8]]), torch.tensor([math.pi / 2]))
    x = torch.zeros(1, 2, requires_grad=True)
    slope = torch.autograd.grad(one(x).sum(), x)[0].norm()
    assert math.isclose(slope, one.constant, rel_tol=1e-6)


def test_the_mean_over_the_inputs_is_zero_by_quadrature():
    eigenvalues, target = draw(1, 6, seed=4)
    sd = math.sqrt(eigenvalues[0])

    def integrand(x):
        density = math.exp(-0.5 * (x / sd) ** 2) / (sd * math.sqrt(2 * math.pi))
        return density * float(target(torch.tensor([[x]], dtype=torch.float64)))

    mean, _ = quad(integrand, -12 * sd, 12 * sd, limit=400)
    assert abs(mean) < 1e-9


@pytest.mark.parametrize("bandwidth", [0.5, 3.0])
def test_every_frequency_has_the_bandwidth_and_the_constant_term_is_free(bandwidth):
    eigenvalues, target = draw(7, 5, seed=2, bandwidth=bandwidth)
    spread = (target.frequencies.square() @ eigenvalues).sqrt()
    np.testing.assert_allclose(spread, [bandwidth] * 5 + [0.0], rtol=1e-12)


@pytest.mark.parametrize("bad", [{"terms": 0}, {"bandwidth": 0.0}, {"bandwidth": math.nan}])
def test_targets_that_cannot_be_are_refused(bad):
    with pytest.raises(InputError, match="cannot be drawn"):
        barron_target(torch.ones(2), **bad)
