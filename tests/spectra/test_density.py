"""Stochastic Lanczos quadrature and ARPACK against dense eigenvalues."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.spectra import DenseJacobian, kernel_operator, spectral_density, spectrum, top_k


def jacobian(rows, columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return DenseJacobian(torch.randn(rows, columns, generator=generator, dtype=torch.float64))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_each_probe_is_an_exact_quadrature_of_its_quadratic_form(rows, columns, seed):
    J = jacobian(rows, columns, seed)
    density = spectral_density(J, probes=2, steps=rows, seed=seed)
    K = J.gram()
    generator = torch.Generator().manual_seed(seed)
    for nodes, weights in zip(density.nodes, density.weights, strict=True):
        z = (torch.randint(0, 2, (rows,), generator=generator) * 2 - 1).double() / rows**0.5
        assert float(weights.sum()) == pytest.approx(1.0)
        for power, wanted in ((1, z @ K @ z), (2, (K @ z) @ (K @ z))):
            assert float((weights * nodes**power).sum()) == pytest.approx(float(wanted), rel=1e-9)


def test_density_of_a_kernel_within_its_error_bars():
    J = jacobian(120, 60)  # half the spectrum is exactly zero
    truth = torch.linalg.eigvalsh(J.gram())
    density = spectral_density(J, probes=40, steps=120, seed=3)
    zeros, error = density.cumulative(1.0)
    assert error > 0
    assert abs(zeros - 0.5) < 4 * error
    for function in (torch.sqrt, lambda v: v / (v + 30), lambda v: v):
        estimate, error = density.mean_of(lambda v, f=function: f(v.clamp_min(0)))
        assert abs(estimate - float(function(truth.clamp_min(0)).mean())) < 4 * error
    edges = torch.tensor([-1.0, 1.0, 50.0, 100.0, 1e4])
    fractions, errors = density.histogram(edges)
    wanted = torch.histogram(truth, edges.double()).hist / 120
    assert float(fractions.sum()) == pytest.approx(1.0)
    assert ((fractions - wanted).abs() <= 4 * errors + 1e-12).all()


def test_error_bars_cover_at_the_stated_rate():
    """Over 60 seeds, two standard errors of 16 probes cover the trace in most but not all runs."""
    J = jacobian(40, 25, seed=5)
    truth = float(J.gram().trace()) / 40
    covered = 0
    for seed in range(60):
        estimate, error = spectral_density(J, probes=16, steps=3, seed=seed).mean_of(lambda v: v)
        covered += abs(estimate - truth) < 2 * error
    assert 48 <= covered <= 60


def test_function_matrix_and_jacobian_agree_and_seeds_repeat():
    J = jacobian(15, 9)
    K = J.gram()
    densities = [
        spectral_density(J, steps=8, seed=1),
        spectral_density(K, steps=8, seed=1),
        spectral_density(lambda v: K @ v, size=15, steps=8, seed=1),
    ]
    for other in densities[1:]:
        torch.testing.assert_close(other.nodes, densities[0].nodes, rtol=1e-8, atol=1e-8)
    assert torch.equal(densities[1].nodes, spectral_density(K, steps=8, seed=1).nodes)
    assert not torch.equal(densities[1].nodes, spectral_density(K, steps=8, seed=2).nodes)


def test_an_invariant_subspace_ends_lanczos_early():
    density = spectral_density(3 * torch.eye(10), probes=2, steps=5)
    assert density.nodes.shape == (2, 5)
    torch.testing.assert_close(density.nodes, torch.full((2, 5), 3.0).double())
    assert density.weights[:, 1:].abs().max() == 0
    assert density.mean_of(lambda v: v) == (pytest.approx(3.0), pytest.approx(0.0))
    assert spectral_density(torch.zeros(4, 4), probes=2).mean_of(lambda v: v) == (0.0, 0.0)


def test_top_values_and_operator_match_dense():
    J = jacobian(40, 25)
    dense = spectrum(J)
    torch.testing.assert_close(top_k(J, 5), dense.eigenvalues[:5], rtol=1e-10, atol=0)
    torch.testing.assert_close(top_k(J, 5, dual=True), dense.eigenvalues[:5], rtol=1e-10, atol=0)
    torch.testing.assert_close(top_k(J.gram(), 5), dense.eigenvalues[:5], rtol=1e-10, atol=0)
    v = torch.randn(40).double()
    product = torch.from_numpy(kernel_operator(J) @ v.numpy())
    torch.testing.assert_close(product, J.gram() @ v)
    assert kernel_operator(J).shape == (40, 40)


def test_bad_requests_are_refused():
    with pytest.raises(InputError, match="at least 2 probes"):
        spectral_density(torch.eye(3), probes=1)
    with pytest.raises(InputError, match="size=None"):
        spectral_density(lambda v: v)
    with pytest.raises(InputError, match="k=3"):
        top_k(torch.eye(3), 3)
    with pytest.raises(InputError, match="needs a Jacobian"):
        top_k(torch.eye(3), 2, dual=True)
