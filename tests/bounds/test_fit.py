import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntklab.bounds import (
    arora_bound,
    clipped_risk,
    exact_rademacher,
    fit_bound,
    fit_risk_bound,
    minimum_norm_fit,
)
from ntklab.errors import InputError
from ntklab.spectra import spectrum


@given(size=st.integers(2, 9), rank=st.integers(1, 9), seed=st.integers(0, 999))
def test_fit_bound_by_pseudoinverse_and_its_floor(size, rank, seed):
    g = torch.Generator().manual_seed(seed)
    A = torch.randn(size, rank, generator=g, dtype=torch.float64)
    K, y = A @ A.T, torch.randn(size, generator=g, dtype=torch.float64)
    values, vectors = torch.linalg.eigh(K)
    kept = values > 1e-9 * values[-1]
    c = vectors.T @ y
    form = float((c[kept] ** 2 / values[kept]).sum())
    s = spectrum(K, vectors=True)
    radius = minimum_norm_fit(s, y).radius
    bound = fit_bound(s, y, measured=exact_rademacher(K, radius=radius).value)
    assert bound.value == pytest.approx(math.sqrt(form * float(K.trace())) / size, rel=1e-6)
    assert bound.holds
    fitted = float(c[kept].square().sum())
    floor = math.sqrt(float(K.trace()) / float(values[-1]) / size * fitted / size)
    assert bound.value >= floor * (1 - 1e-9)
    assert bound.ingredients["unfitted"] == pytest.approx(float(y @ y) - fitted, abs=1e-9)


def test_fit_risk_by_hand():
    """K = 2 · 11ᵀ on 16 samples, y = ½·1: radius ½/√2, everything fitted."""
    s = spectrum(2 * torch.ones(16, 16).double(), vectors=True)
    bound = fit_risk_bound(s, torch.full((16,), 0.5), delta=0.1, unit=0.5)
    share = 0.6 / math.pi**2
    expected = 2 * 0.5 * math.sqrt(32) / 16 + 3 * math.sqrt(math.log(2 / share) / 32)
    assert bound.value == pytest.approx(expected, rel=1e-10)
    assert bound.ingredients["radius"] == pytest.approx(0.5 / math.sqrt(2))
    assert bound.ingredients["train_risk"] < 1e-6


def test_what_the_kernel_cannot_fit_is_in_the_risk():
    K = torch.diag(torch.tensor([9.0, 9.0, 9.0, 0.0], dtype=torch.float64))
    bound = fit_risk_bound(spectrum(K, vectors=True), torch.tensor([0, 0, 0.3, 0.8]))
    assert bound.ingredients["train_risk"] == pytest.approx(0.4)


def test_vector_outputs_count_samples_not_rows():
    K = torch.eye(12, dtype=torch.float64)
    y = torch.ones(6, 2)
    bound = fit_risk_bound(spectrum(K, vectors=True), y, n_samples=6)
    # radius √12 → ball 4, tr K = 12, contraction 2√2
    assert bound.ingredients["complexity"] == pytest.approx(2 * math.sqrt(2) * 4 * 12**0.5 / 6)
    with pytest.raises(InputError, match="does not divide"):
        fit_risk_bound(spectrum(K, vectors=True), y, n_samples=5)


def test_arora_is_twice_the_trace_form_for_every_constant_diagonal(random_kernel):
    K = random_kernel(8, 12)
    d = K.diagonal().rsqrt()
    y = torch.tensor([1.0, -1] * 4, dtype=torch.float64)
    for diagonal in (0.5, 1.0, 7.0):
        scaled = diagonal * d[:, None] * K * d
        s = spectrum(scaled, vectors=True)
        twice = 2 * exact_rademacher(scaled, radius=minimum_norm_fit(s, y).radius).value
        bound = arora_bound(scaled, s, y, measured=twice)
        form = float(y @ torch.linalg.solve(scaled, y))
        assert bound.value == pytest.approx(2 * math.sqrt(form * diagonal / 8), rel=1e-9)
        assert bound.value == pytest.approx(2 * fit_bound(s, y).value, rel=1e-9)
        assert bound.holds
    half = 0.5 * d[:, None] * K * d  # the published case, H_ii = ½
    form = float(y @ torch.linalg.solve(half, y))
    published = arora_bound(half, spectrum(half, vectors=True), y)
    assert published.value == pytest.approx(math.sqrt(2 * form / 8), rel=1e-9)


def test_published_arora_term_on_a_unit_diagonal_would_be_too_small():
    """K = I: R_S of the interpolant's ball is exactly 1, twice it 2, but √(2 yᵀK⁻¹y/N) = √2."""
    K, y = torch.eye(6, dtype=torch.float64), torch.ones(6, dtype=torch.float64)
    s = spectrum(K, vectors=True)
    twice = 2 * exact_rademacher(K, radius=minimum_norm_fit(s, y).radius).value
    assert twice == pytest.approx(2.0)
    assert math.sqrt(2 * float(y @ y) / 6) < twice
    assert arora_bound(K, s, y, measured=twice).value == pytest.approx(2.0)


def test_arora_needs_its_diagonal_and_a_nonsingular_kernel():
    K = torch.diag(torch.tensor([1.0, 2.0]))
    assert "constant diagonal" in arora_bound(K, spectrum(K, vectors=True), torch.ones(2)).reason
    flat = torch.ones(2, 2)
    bound = arora_bound(flat, spectrum(flat, vectors=True), torch.ones(2))
    assert "λ_min > 0" in bound.reason


def test_clipped_risk_is_above_the_error_rate():
    g = torch.Generator().manual_seed(0)
    y = torch.randint(0, 2, (500,), generator=g) * 2.0 - 1
    f = torch.randn(500, generator=g)
    assert clipped_risk(f, y) >= float((f.sign() != y).double().mean())
    assert clipped_risk(torch.zeros(2, 3), torch.ones(2, 3) / 3) == pytest.approx(3**-0.5)
