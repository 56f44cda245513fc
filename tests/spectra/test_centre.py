"""Centring: the projector, its compression and every route agree on what softmax sees."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.spectra import (
    CentredJacobian,
    DenseJacobian,
    JacobianLike,
    centre_kernel,
    centre_rows,
    contrasts,
    spectrum,
)
from ntklab.spectra.centre import compress_rows, lift_rows
from ntklab.spectra.rounding import norm_above

SHAPES = {"N": st.integers(1, 5), "C": st.integers(2, 6), "P": st.integers(1, 25)}


def jacobian(N, C, P, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return DenseJacobian(torch.randn(N * C, P, generator=generator, dtype=torch.float64), C)


def projector(N, C):
    return torch.kron(torch.eye(N).double(), torch.eye(C).double() - 1 / C)


@settings(max_examples=30, deadline=None)
@given(**SHAPES)
def test_centring_is_the_projector_and_the_contrasts_its_square_root(N, C, P):
    J = jacobian(N, C, P).matrix
    Pi, Q = projector(N, C), contrasts(C)
    full_Q = torch.kron(torch.eye(N).double(), Q)
    torch.testing.assert_close(Q.T @ Q, torch.eye(C - 1).double())
    torch.testing.assert_close(centre_rows(J, C), Pi @ J)
    torch.testing.assert_close(compress_rows(J, C), full_Q.T @ J)
    torch.testing.assert_close(lift_rows(compress_rows(J, C), C), Pi @ J)
    K = J @ J.T
    torch.testing.assert_close(centre_kernel(K, C), Pi @ K @ Pi)
    torch.testing.assert_close(centre_kernel(K, C, compress=True), full_Q.T @ K @ full_Q)


@settings(max_examples=30, deadline=None)
@given(**SHAPES)
def test_every_route_gives_the_spectrum_of_the_projected_kernel(N, C, P):
    J = jacobian(N, C, P)
    slow = torch.linalg.eigvalsh(projector(N, C) @ J.gram() @ projector(N, C)).flip(0)
    size = N * (C - 1)
    results = [spectrum(J, route=r, centred=True) for r in ("svd", "gram", "dual")]
    results.append(spectrum(J.gram(), centred=True, n_outputs=C))
    scale = float(J.matrix.norm()) ** 2
    for result in results:
        assert result.size == size
        assert result.centred
        assert result.rank == min(size, P)
        torch.testing.assert_close(
            result.eigenvalues, slow[: len(result.eigenvalues)], rtol=0, atol=1e-13 * scale
        )
    assert results[0].lambda_min == (0.0 if size > P else results[0].lambda_min_nonzero)


def test_two_outputs_are_an_n_by_n_problem():
    J = jacobian(6, 2, 30)
    K = J.gram().reshape(6, 2, 6, 2)
    half = (K[:, 0, :, 0] - K[:, 0, :, 1] - K[:, 1, :, 0] + K[:, 1, :, 1]) / 2
    ambient = spectrum(centre_kernel(J.gram(), 2))
    assert (ambient.size, ambient.rank, ambient.lambda_min) == (12, 6, 0.0)
    centred = spectrum(J, centred=True)
    assert centred.size == 6
    torch.testing.assert_close(centred.eigenvalues, spectrum(half).eigenvalues)
    torch.testing.assert_close(centred.eigenvalues, ambient.eigenvalues[:6])
    assert centred.lambda_min > 0


@pytest.mark.parametrize("route", ["svd", "gram", "dual", "kernel"])
def test_a_large_shared_direction_does_not_pass_for_rank(route):
    """Centring cancels 1e8 exactly in theory, to rounding of 1e8 in practice: that is noise."""
    N, C, P = 4, 3, 20
    generator = torch.Generator().manual_seed(1)
    common = 1e8 * torch.randn(N, 1, P, generator=generator, dtype=torch.float64)
    low_rank = torch.randn(N * C, 2, generator=generator, dtype=torch.float64) @ torch.randn(
        2, P, generator=generator, dtype=torch.float64
    )
    J = DenseJacobian((common + low_rank.reshape(N, C, P)).reshape(N * C, P), C)
    if route == "kernel":
        result = spectrum(J.gram(), centred=True, n_outputs=C)
    else:
        result = spectrum(J, route=route, centred=True)
    truth = spectrum(DenseJacobian(centre_rows(low_rank, C), C))
    if route == "svd":
        assert result.rank == truth.rank == 2
    else:
        assert result.rank <= 2  # the squared scale, 1e16, hides even what is there
    # J itself was rounded when it was built: ε·‖J‖ on σ, beside the error of the solver.
    built = 2.0**-52 * float(norm_above(J.matrix))
    for value, error, exact in zip(
        result.eigenvalues, result.eigenvalue_errors, truth.eigenvalues, strict=False
    ):
        assert abs(value - exact) <= error + 2 * float(exact) ** 0.5 * built + built**2


def test_centred_jacobian_is_a_jacobian():
    J = jacobian(3, 4, 11)
    centred = CentredJacobian(J)
    assert isinstance(centred, JacobianLike)
    assert centred.shape == (9, 11)
    A = centred.dense()
    torch.testing.assert_close(A, compress_rows(J.matrix, 4))
    v, u = torch.randn(11).double(), torch.randn(9).double()
    torch.testing.assert_close(centred @ v, A @ v)
    torch.testing.assert_close(centred.T @ u, A.T @ u)
    torch.testing.assert_close(centred @ torch.eye(11).double(), A)
    torch.testing.assert_close(centred.T @ torch.eye(9).double(), A.T)
    torch.testing.assert_close(centred.gram(), A @ A.T)
    torch.testing.assert_close(centred.dual_gram(), A.T @ A)
    torch.testing.assert_close(spectrum(centred).eigenvalues, spectrum(J, centred=True).eigenvalues)


@pytest.mark.parametrize("route", ["svd", "gram", "dual", "kernel"])
def test_eigenvectors_live_in_output_coordinates(route):
    J = jacobian(3, 4, 40)
    K = centre_kernel(J.gram(), 4)
    if route == "kernel":
        result = spectrum(J.gram(), centred=True, n_outputs=4, vectors=True)
    else:
        result = spectrum(J, route=route, centred=True, vectors=True)
    V = result.eigenvectors
    assert V.shape == (12, 9)
    torch.testing.assert_close(K @ V, V * result.eigenvalues, rtol=0, atol=1e-10)
    torch.testing.assert_close(
        V.reshape(3, 4, 9).sum(1), torch.zeros(3, 9).double(), rtol=0, atol=1e-13
    )


def test_what_cannot_be_centred_is_refused():
    with pytest.raises(InputError, match="at least 2 outputs"):
        spectrum(jacobian(3, 1, 4), centred=True)
    with pytest.raises(InputError, match="give n_outputs"):
        spectrum(torch.eye(4), centred=True)
    with pytest.raises(InputError, match="do not divide"):
        centre_kernel(torch.eye(4), 3)
