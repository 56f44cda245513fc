"""Enclosures hold the exact λ_min of the floats given, and are as narrow as they claim."""

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.spectra import DenseJacobian, enclose, spectrum

EXPONENTS = st.lists(st.floats(-9, 0), min_size=2, max_size=6)


@pytest.mark.parametrize("route", ["svd", "gram"])
@settings(max_examples=25, deadline=None)
@given(EXPONENTS, st.integers(0, 3), st.integers(0, 99))
def test_jacobian_enclosures_contain_the_truth(
    route, designed, exact_eigenvalues, exponents, extra, seed
):
    n = len(exponents)
    J = designed([10.0**e for e in exponents], n, n + extra, seed)
    enclosure = enclose(DenseJacobian(J), route=route)
    truth = exact_eigenvalues(J, True)[0]
    assert enclosure.lower <= truth <= enclosure.upper
    assert enclosure.lower <= enclosure.estimate <= enclosure.upper
    assert enclosure.route == route


@settings(max_examples=25, deadline=None)
@given(EXPONENTS, st.integers(0, 99), st.booleans())
def test_kernel_enclosures_contain_the_truth(designed, exponents, seed, skew):
    n = len(exponents)
    J = designed([10.0**e for e in exponents], n, n, seed)
    K = J @ J.T
    K = (K + K.T) / 2
    given_matrix = K.clone()
    if skew:  # an asymmetry of the size of rounding: the claim is about the symmetric part
        given_matrix[0, 1] *= 1 + 2.0**-50
    enclosure = enclose(given_matrix)
    with mpmath.workdps(60):
        M = mpmath.matrix(given_matrix.tolist())
        truth = min(mpmath.eigsy((M + M.T) / 2, eigvals_only=True))
    assert enclosure.lower <= truth <= enclosure.upper


def test_the_truth_can_fall_outside_a_narrower_interval(designed, exact_eigenvalues):
    """The radius is needed: bare estimates are wrong by more than nothing."""
    errors = []
    for seed in range(12):  # on some processor one of them may be exact by chance
        J = designed([1.0, 1e-3, 1e-6], 3, 5, seed=seed)
        truth = exact_eigenvalues(J, True)[0]
        enclosure = enclose(DenseJacobian(J), route="gram")
        errors.append(abs(enclosure.estimate - truth))
        assert errors[-1] < enclosure.radius
    assert max(errors) > 1e-19


def test_svd_certifies_what_the_gram_matrix_cannot(hadamard):
    powers = torch.tensor([0, 5, 10, 15, 20, 25, 28, 32], dtype=torch.float64)
    J = (hadamard * 2.0**-powers) @ hadamard.T  # exact: σ_min = 8·2⁻³²
    truth = 64.0 * 2.0**-64
    by_svd, by_gram = enclose(DenseJacobian(J)), enclose(DenseJacobian(J), route="gram")
    for enclosure in (by_svd, by_gram):
        assert enclosure.lower <= truth <= enclosure.upper
    assert by_svd.certified_positive
    assert by_svd.radius < 1e-3 * truth
    assert not by_gram.certified_positive
    assert by_gram.lower == 0.0


def test_radius_on_a_well_conditioned_kernel_of_200_rows():
    generator = torch.Generator().manual_seed(0)
    J = torch.randn(200, 400, generator=generator, dtype=torch.float64)
    enclosure = enclose(DenseJacobian(J))
    assert enclosure.certified_positive
    assert enclosure.radius < 1e-8 * enclosure.estimate
    reported = spectrum(DenseJacobian(J))
    assert enclosure.lower <= reported.lambda_min <= enclosure.upper


def test_the_rounding_of_forming_the_kernel_is_in_the_radius():
    """γ_P ‖J‖_F² is what a product of P-vectors may err by, whatever order it is summed in."""
    J = torch.rand(2, 50_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    worst = 50_000 * 2.0**-53 * float((J**2).sum())
    assert worst <= enclose(DenseJacobian(J), route="gram").radius < 1.1 * worst


def test_an_enclosure_says_of_what_it_is_a_proof():
    J = DenseJacobian(torch.eye(2, 3))
    assert "matrix given" in enclose(torch.eye(2)).claim
    assert "as computed" in enclose(J).claim == enclose(J, route="gram").claim
    assert "every J of this shape" in enclose(DenseJacobian(torch.ones(3, 2))).claim


def test_singular_kernels_are_never_certified():
    ones = torch.ones(3, 3)
    assert not enclose(ones).certified_positive
    assert enclose(ones).upper >= 0
    tall = enclose(DenseJacobian(torch.randn(5, 2)))
    assert (tall.lower, tall.upper, tall.route) == (0.0, 0.0, "shape")
    wide = enclose(DenseJacobian(torch.ones(2, 5)))
    assert wide.lower == 0.0
    assert not wide.certified_positive


def test_an_indefinite_matrix_is_certified_negative():
    enclosure = enclose(torch.diag(torch.tensor([1.0, -1.0])))
    assert enclosure.upper < 0


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="not symmetric"):
        enclose(torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
    with pytest.raises(InputError, match="did you mean 'svd'"):
        enclose(torch.eye(2), route="svdd")
    with pytest.raises(InputError, match="are allowed"):
        enclose(DenseJacobian(torch.ones(4, 9), memory=100))
    with pytest.raises(InputError, match="list"):
        enclose([[1.0]])
