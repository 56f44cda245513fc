import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from ntklab.adapters import build_adapter
from ntklab.bounds import (
    descent_bound,
    descent_envelope,
    descent_prediction,
    drift_bound,
    effective_rate,
    flow_bound,
    flow_prediction,
    kernel_growth_bound,
    projected_flow_bound,
    residual_modes,
)
from ntklab.errors import InputError
from ntklab.jacobians import ntk
from ntklab.spectra import spectrum

SIZES = [(6, 6), (6, 3)]


@pytest.fixture(params=SIZES, ids=["regular", "singular"])
def problem(request, random_kernel):
    K = random_kernel(*request.param, seed=3)
    g = torch.Generator().manual_seed(0)
    r = torch.randn(6, generator=g, dtype=torch.float64)
    return K, r, residual_modes(spectrum(K, vectors=True), r)


@pytest.mark.parametrize("time", [0.0, 0.03, 0.7, 20.0])
def test_flow_against_the_matrix_exponential(problem, time):
    K, r, start = problem
    measured = float(np.linalg.norm(expm(-K.numpy() * time) @ r.numpy()))
    exact = flow_prediction(start, time, measured=measured)
    assert exact.value == pytest.approx(measured, rel=1e-9)
    projected = projected_flow_bound(start, time, measured=measured)
    envelope = flow_bound(start, time, measured=measured)
    assert projected.holds
    assert exact.value <= projected.value * (1 + 1e-12)
    if start.spectrum.rank == 6:
        assert envelope.holds
        assert envelope.value == pytest.approx(
            math.exp(-float(torch.linalg.eigvalsh(K)[0]) * time) * float(r.norm()), rel=1e-6
        )
        assert exact.value <= envelope.value * (1 + 1e-9)
    else:
        assert envelope.value is None
        assert "rank 3 of 6" in envelope.reason
        assert envelope.ingredients["lambda_min"] == 0.0


def test_singular_kernels_leave_their_null_space(problem):
    K, r, start = problem
    values, vectors = torch.linalg.eigh(K)
    null = vectors[:, values < 1e-9 * values[-1]]
    assert start.unreachable == pytest.approx(float((null.T @ r).square().sum()), abs=1e-12)
    if start.spectrum.rank < 6:
        assert projected_flow_bound(start, 1e6).value == pytest.approx(start.unreachable**0.5)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.95, 1.3])
def test_descent_against_the_loop(problem, share):
    K, r0, start = problem
    rate = share * 2 / float(torch.linalg.eigvalsh(K)[-1])
    r = r0.clone()
    for steps in range(1, 9):
        r = r - rate * K @ r
        measured = float(r.norm())
        exact = descent_prediction(start, steps, rate, measured=measured)
        assert exact.value == pytest.approx(measured, rel=1e-9)
        for bound in (
            descent_bound(start, steps, rate, measured=measured),
            descent_envelope(start, steps, rate, measured=measured),
        ):
            if share > 1 or start.spectrum.rank < 6:
                assert bound.value is None
            elif bound.value is not None:
                assert bound.holds
    assert ("η < 2/λ_max fails" in (bound.reason or "")) is (share > 1)


@given(
    low=st.floats(0.01, 1),
    top=st.floats(1, 20),
    share=st.floats(0.01, 0.999),
    steps=st.integers(1, 40),
)
def test_envelope_is_given_exactly_where_it_is_true(low, top, share, steps):
    """Two modes: e^(−ηλ_min t) is above every start iff ηλ_max − 1 ≤ e^(−ηλ_min)."""
    K = torch.diag(torch.tensor([top, low], dtype=torch.float64))
    rate = share * 2 / top
    s = spectrum(K, vectors=True)
    bounds, truths = [], []
    for direction in ([1.0, 0.0], [0.0, 1.0]):
        r = torch.tensor(direction, dtype=torch.float64)
        after = float(((1 - rate * K.diagonal()) ** steps * r).norm())
        bounds.append(descent_envelope(residual_modes(s, r), steps, rate, measured=after))
        truths.append(after <= math.exp(-rate * low * steps) * (1 + 1e-9))
    if bounds[0].value is not None:
        assert all(bound.holds for bound in bounds)
        assert all(truths)
    else:
        assert not all(truths) or abs(abs(1 - rate * top) - math.exp(-rate * low)) < 1e-9
    if rate <= 2 / (low + top):
        assert bounds[0].value is not None


def test_contraction_is_attained():
    K = torch.diag(torch.tensor([3.0, 1.0], dtype=torch.float64))
    start = residual_modes(spectrum(K, vectors=True), torch.tensor([1.0, 0.0]))
    bound = descent_bound(start, 5, 0.6, measured=0.8**5)
    assert bound.value == pytest.approx(bound.measured)


def test_cross_entropy_has_no_exponential_rate(problem):
    bound = flow_bound(problem[2], 1.0, loss="cross-entropy")
    assert bound.value is None
    assert "1/t" in bound.reason
    with pytest.raises(InputError, match="hinge"):
        flow_bound(problem[2], 1.0, loss="hinge")


def test_effective_rate_is_the_derivative(problem):
    K, r, start = problem
    h = 1e-6
    slope = -(math.log(start.after_flow(0.5 + h)) - math.log(start.after_flow(0.5 - h))) / (2 * h)
    assert start.rate_after_flow(0.5) == pytest.approx(slope, rel=1e-6)
    later = torch.linalg.matrix_exp(-0.5 * K) @ r
    assert effective_rate(K, later) == pytest.approx(start.rate_after_flow(0.5), rel=1e-9)
    rates = [start.rate_after_flow(t) for t in (0.0, 0.1, 1.0, 10.0)]
    assert rates == sorted(rates, reverse=True)


def test_drift_certificate_on_a_moving_kernel(random_kernel):
    """K_s = K₀ + δ sin(s) E with ‖E‖₂ = 1: small Euler steps stay under the certificate."""
    K = random_kernel(5, 9)
    s = spectrum(K)
    E = random_kernel(5, 1, seed=2)
    E = E / torch.linalg.matrix_norm(E, 2)
    drift = 0.5 * s.lambda_min
    r = torch.linalg.eigh(K).eigenvectors[:, 0].clone()
    h, steps = 1e-3, 2000
    for i in range(steps):
        r = torch.linalg.matrix_exp(-h * (K - drift * math.sin(h * i) * E)) @ r
    bound = drift_bound(s, drift=drift, initial=1.0, time=h * steps, measured=float(r.norm()))
    assert bound.holds
    assert not bound.vacuous
    assert drift_bound(s, drift=2 * s.lambda_min, initial=1.0, time=1.0).value is None


@pytest.mark.parametrize(
    ("method", "degrees"), [("lora", 2), ("tensorguide", 8), ("tt-delta", None), ("tt-lora", None)]
)
def test_kernels_grow_with_their_outputs(method, degrees):
    g = torch.Generator().manual_seed(0)
    sizes = {"width": 16} if method == "tensorguide" else {}
    head = build_adapter(method, 12, 2, generator=g, dtype=torch.float64, **sizes)
    x = torch.randn(6, 12, generator=g, dtype=torch.float64)
    cores = [p for p in head.parameters() if p.requires_grad]
    if degrees is None:
        degrees = len(cores)
    elif method == "tensorguide":
        degrees = 2 * len(cores)
    norm = math.sqrt(sum(float(p.detach().square().sum()) for p in cores))
    top = float(torch.linalg.eigvalsh(ntk(head, x))[-1])
    with torch.no_grad():
        bound = kernel_growth_bound(head(x), parameter_norm=norm, degree_sum=degrees, measured=top)
    assert bound.direction == "lower"
    assert bound.holds
    # The bound is λ_max ≥ ‖Jθ‖²/‖θ‖²; a wrong degree by a factor 30 would break it.
    assert bound.value > top / 1000


def test_refusals(problem):
    K, r, start = problem
    with pytest.raises(InputError, match="time"):
        flow_prediction(start, -1.0)
    with pytest.raises(InputError, match="steps"):
        descent_prediction(start, -1, 0.1)
    with pytest.raises(InputError, match="rate"):
        descent_bound(start, 1, 0.0)
    with pytest.raises(InputError, match="residual"):
        effective_rate(K, torch.zeros(6))
    with pytest.raises(InputError, match="parameter_norm"):
        kernel_growth_bound(r, parameter_norm=0.0, degree_sum=2)
    with pytest.raises(InputError, match="drift"):
        drift_bound(start.spectrum, drift=-1.0, initial=1.0, time=0.0)
