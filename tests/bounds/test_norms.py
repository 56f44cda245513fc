import math

import pytest
import torch

from ntklab.bounds import early_stopped_fit, minimum_norm_fit
from ntklab.errors import InputError
from ntklab.spectra import DenseJacobian, spectrum


@pytest.fixture(params=[(6, 10), (10, 6)], ids=["interpolates", "singular"])
def problem(request):
    rows, columns = request.param
    g = torch.Generator().manual_seed(rows)
    J = torch.randn(rows, columns, generator=g, dtype=torch.float64)
    return J, torch.randn(rows, generator=g, dtype=torch.float64)


def test_minimum_norm_is_the_pseudoinverse_solution(problem):
    J, y = problem
    step = torch.linalg.pinv(J) @ y
    fit = minimum_norm_fit(spectrum(DenseJacobian(J), vectors=True), y)
    assert fit.radius == pytest.approx(float(step.norm()), rel=1e-10)
    assert fit.unfitted == pytest.approx(float((J @ step - y).square().sum()), abs=1e-20, rel=1e-9)
    assert math.isinf(fit.time)


@pytest.mark.parametrize("time", [0.01, 0.3, 5.0])
def test_early_stopping_is_gradient_flow_of_the_parameters(problem, time):
    """θ(t) = ∫₀ᵗ e^(−JᵀJ s) Jᵀ y ds, by the block exponential."""
    J, y = problem
    P = J.shape[1]
    block = torch.zeros(P + 1, P + 1, dtype=torch.float64)
    block[:P, :P], block[:P, P] = -J.T @ J, J.T @ y
    step = torch.linalg.matrix_exp(block * time)[:P, P]
    fit = early_stopped_fit(spectrum(J @ J.T, vectors=True), y, time)
    assert fit.radius == pytest.approx(float(step.norm()), rel=1e-8)
    assert fit.unfitted == pytest.approx(float((J @ step - y).square().sum()), rel=1e-8)


def test_radius_grows_to_the_minimum_norm(problem):
    J, y = problem
    s = spectrum(J @ J.T, vectors=True)
    times = [0.0, 0.01, 0.1, 1.0, 10.0, 1e4]
    radii = [early_stopped_fit(s, y, t).radius for t in times]
    assert radii == sorted(radii)
    assert radii[-1] <= minimum_norm_fit(s, y).radius * (1 + 1e-12)


def test_negative_time_is_refused(problem):
    J, y = problem
    with pytest.raises(InputError, match="time"):
        early_stopped_fit(spectrum(J @ J.T, vectors=True), y, -1.0)
