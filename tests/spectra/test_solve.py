"""Routes agree, small eigenvalues survive, ranks and errors are honest, non-kernels are refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.spectra import DenseJacobian, singular_values, spectrum
from ntklab.spectra.routes import gram_bytes, streamed_bytes, svd_bytes

EPS = torch.finfo(torch.float64).eps


def random_jacobian(rows, columns, seed, n_outputs=1, **options):
    generator = torch.Generator().manual_seed(seed)
    J = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    return DenseJacobian(J, n_outputs, **options)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_routes_agree_with_each_other_and_with_numpy(rows, columns, seed):
    J = random_jacobian(rows, columns, seed)
    results = {route: spectrum(J, route=route) for route in ("svd", "gram", "dual")}
    slow = torch.linalg.eigvalsh(J.gram()).flip(0)[: min(rows, columns)]
    for result in results.values():
        assert result.size == rows
        assert result.parameters == columns
        assert result.rank == min(rows, columns)
        torch.testing.assert_close(
            result.eigenvalues, slow, rtol=0, atol=100 * max(rows, columns) * EPS * float(slow[0])
        )
        if rows > columns:
            assert result.lambda_min == 0.0
            assert result.lambda_min_error == 0.0


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 700), st.booleans(), st.integers(0, 99))
def test_reduction_of_the_tall_side_keeps_singular_values(small, large, wide, seed):
    J = random_jacobian(large, small, seed).matrix
    J = J.T if wide else J
    torch.testing.assert_close(
        singular_values(J), torch.linalg.svdvals(J), rtol=0, atol=50 * EPS * float(J.norm())
    )


def test_the_counterexample_of_three_samples_by_hand():
    K = torch.tensor([[4, 4, 4], [4, 6, 4], [4, 4, 6]])
    result = spectrum(K)
    root = 41**0.5
    torch.testing.assert_close(
        result.eigenvalues,
        torch.tensor([7 + root, 2, 7 - root], dtype=torch.float64),
        rtol=0,
        atol=1e-14,
    )
    assert result.route == "kernel"
    assert abs(result.lambda_min - (7 - root)) <= result.lambda_min_error < 1e-13
    assert result.condition == pytest.approx((7 + root) / (7 - root), rel=1e-13)
    assert spectrum(torch.eye(3) + 1).eigenvalues.tolist() == pytest.approx([4, 1, 1], abs=1e-14)


def test_svd_route_resolves_1e_24_where_the_gram_matrix_sees_nothing(designed):
    sigma = [1.0, 1e-3, 1e-6, 1e-8, 1e-12]
    for rows, columns in ((5, 40), (5, 7), (40, 5)):
        J = DenseJacobian(designed(sigma, rows, columns))
        result = spectrum(J)
        wanted = torch.tensor(sigma, dtype=torch.float64) ** 2
        assert result.route == "svd"
        assert result.rank == 5
        torch.testing.assert_close(result.eigenvalues, wanted, rtol=5e-3, atol=0)
        by_gram = spectrum(J, route="gram" if rows == 5 else "dual")
        assert by_gram.rank == 3  # 1, 1e-6, 1e-12; 1e-16 and 1e-24 are below n·ε
        assert by_gram.eigenvalues[3:].tolist() == [0.0, 0.0]
        assert not by_gram.rank_decided


def test_exact_powers_of_two_down_to_8e_25(hadamard):
    powers = torch.tensor([0, 6, 12, 18, 24, 30, 36, 40], dtype=torch.float64)
    # Every entry is a sum of powers of two spanning 41 bits: exact, so σ = 8·2^-k exactly.
    J = (hadamard * 2.0**-powers) @ hadamard.T
    result = spectrum(DenseJacobian(J))
    truth = 64.0 * 4.0**-powers
    assert result.rank == 8
    torch.testing.assert_close(result.eigenvalues, truth, rtol=5e-3, atol=0)
    assert ((result.eigenvalues - truth).abs() <= result.eigenvalue_errors).all()
    assert result.lambda_min_error < 0.05 * result.lambda_min


@pytest.mark.parametrize("route", ["svd", "gram", "dual"])
@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-7, 0), min_size=2, max_size=6), st.integers(0, 3), st.integers(0, 99))
def test_errors_bound_the_distance_to_the_exact_spectrum(
    route, designed, exact_eigenvalues, exponents, extra, seed
):
    n = len(exponents)
    J = designed([10.0**e for e in exponents], n, n + extra, seed)
    result = spectrum(DenseJacobian(J), route=route)
    truth = exact_eigenvalues(J, True)[::-1]
    for value, error, exact in zip(
        result.eigenvalues.tolist(), result.eigenvalue_errors.tolist(), truth, strict=True
    ):
        assert abs(exact - value) <= error
    assert abs(truth[-1] - result.lambda_min) <= result.lambda_min_error


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-16, 0), min_size=2, max_size=6), st.integers(0, 99))
def test_errors_of_a_kernel_matrix_hold(designed, exact_eigenvalues, exponents, seed):
    n = len(exponents)
    J = designed([10.0 ** (e / 2) for e in exponents], n, n, seed)
    K = J @ J.T
    K = (K + K.T) / 2
    result = spectrum(K)
    truth = exact_eigenvalues(K, False)
    assert abs(truth[0] - result.lambda_min) <= result.lambda_min_error
    assert (result.eigenvalues >= 0).all()


@pytest.mark.parametrize("route", ["svd", "gram", "dual"])
def test_exact_rank_deficiency_gives_exact_zeros(route, designed):
    J = DenseJacobian(designed([3.0, 2.0, 1.0], 12, 20))
    result = spectrum(J, route=route)
    assert result.rank == 3
    assert result.rank_decided
    assert result.eigenvalues[3:].tolist() == [0.0] * 9
    assert result.lambda_min == 0.0
    assert 0 < result.lambda_min_error < 1e-12
    assert result.lambda_min_nonzero == pytest.approx(1.0, abs=1e-12)
    assert result.gap < (1e-14 if route == "svd" else 1e-6)


@pytest.mark.parametrize(
    ("sigma", "tolerance", "rank", "decided"),
    [
        ([1.0, 0.5, 1e-9], 1e-8, 2, True),
        ([1.0, 0.5, 1e-3], 1e-2, 2, False),
        ([1.0, 1e-6, 1e-9, 1e-12], 1e-8, 2, False),
        ([1.0, 1e-6, 1e-12], 1e-8, 2, True),
    ],
)
def test_designed_gaps(designed, sigma, tolerance, rank, decided):
    result = spectrum(DenseJacobian(designed(sigma, 6, 9)), rank_tolerance=tolerance)
    assert result.rank == rank
    assert result.gap == pytest.approx(sigma[rank] / sigma[rank - 1], rel=1e-2)
    assert result.rank_decided is decided


def test_full_rank_below_the_error_of_the_route_is_undecided(designed):
    J = DenseJacobian(designed([1.0, 1.0, 1e-7], 3, 900))
    by_gram = spectrum(J, route="gram", rank_tolerance=1e-16)
    assert by_gram.rank == 3
    assert by_gram.gap is None
    assert not by_gram.rank_decided
    assert spectrum(J).rank_decided


def test_float32_sets_a_float32_tolerance(designed):
    J = designed([1.0, 1e-3, 1e-9], 5, 8).to(torch.float32)
    result = spectrum(DenseJacobian(J))
    assert result.rank_tolerance == pytest.approx(8 * 2.0**-23, rel=1e-3)
    assert result.rank == 2
    K = (J @ J.T).to(torch.float32)
    assert spectrum(K).rank == 2
    assert spectrum(K).rank_tolerance >= 5 * 2.0**-23 * 0.99


def test_a_negative_eigenvalue_measures_noise():
    K = torch.diag(torch.tensor([1.0, 1e-11, -2e-11], dtype=torch.float64))
    result = spectrum(K)
    assert result.rank == 1
    assert result.rank_tolerance == pytest.approx(2e-11)
    assert result.eigenvalues.tolist() == [1.0, 0.0, 0.0]
    assert result.gap == pytest.approx((2e-11) ** 0.5)


@pytest.mark.parametrize("kernel", [True, False])
def test_the_zero_kernel(kernel):
    zero = torch.zeros(3, 3)
    result = spectrum(zero if kernel else DenseJacobian(zero))
    assert (result.rank, result.lambda_max, result.lambda_min) == (0, 0.0, 0.0)
    assert result.lambda_min_nonzero is None
    assert result.condition is None
    assert result.gap is None
    assert result.summary()["entropy"] is None


@pytest.mark.parametrize("route", ["svd", "gram", "dual"])
@pytest.mark.parametrize(("rows", "columns"), [(6, 9), (9, 6)])
def test_eigenvectors_are_those_of_the_kernel(route, rows, columns):
    J = random_jacobian(rows, columns, 3)
    result = spectrum(J, route=route, vectors=True)
    V, values = result.eigenvectors, result.eigenvalues
    assert V.shape == (rows, 6)
    torch.testing.assert_close(J.gram() @ V, V * values, rtol=0, atol=1e-11)
    torch.testing.assert_close(V.T @ V, torch.eye(6).double(), rtol=0, atol=1e-13)


def test_auto_takes_svd_if_it_fits_else_the_smaller_gram_matrix():
    tall, wide = (60, 7), (7, 60)
    for shape, gram in ((tall, "dual"), (wide, "gram")):
        enough = svd_bytes(shape)
        assert spectrum(random_jacobian(*shape, 0, memory=enough)).route == "svd"
        assert spectrum(random_jacobian(*shape, 0, memory=enough - 1)).route == gram
    with pytest.raises(InputError, match="are allowed"):
        spectrum(random_jacobian(*tall, 0, memory=gram_bytes(7) - 1))
    with pytest.raises(InputError, match="route 'svd'"):
        spectrum(random_jacobian(*wide, 0, memory=svd_bytes(wide) - 1), route="svd")


class RowsOnly(DenseJacobian):
    """A tall Jacobian whose matrix may not be asked for, and that takes few samples at once."""

    chunk = 37

    def dense(self, dtype=None):
        raise AssertionError("the matrix was formed")

    def rows(self, start, stop):
        assert stop - start <= self.chunk
        return super().rows(start, stop)


@pytest.mark.parametrize("centred", [True, False])
def test_a_tall_jacobian_too_large_to_hold_is_streamed(centred, designed):
    J = designed([1.0, 1e-4, 1e-8, 1e-12], 3000, 4)
    held = spectrum(DenseJacobian(J, 3), centred=centred)
    rows = RowsOnly(J, 3, memory=50_000)
    assert streamed_bytes(rows) < 50_000 < svd_bytes(J.shape)
    streamed = spectrum(rows, route="svd", centred=centred)
    assert streamed.rank == held.rank == 4
    torch.testing.assert_close(streamed.eigenvalues, held.eigenvalues, rtol=5e-3, atol=0)
    assert ((streamed.eigenvalues - held.eigenvalues).abs() <= held.eigenvalue_errors).all()
    assert spectrum(DenseJacobian(J, 3, memory=50_000)).route == "dual"


def nan_kernel():
    K = torch.eye(3)
    K[1, 1] = float("nan")
    return K


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (torch.tensor([[1.0, 2.0], [0.0, 1.0]]), "not symmetric"),
        (nan_kernel(), "NaN"),
        (torch.ones(2, 3), "square"),
        (torch.ones(3), "matrix"),
        (torch.ones(0, 0), "non-empty"),
        (torch.eye(2) * 1j, "complex"),
        (-torch.eye(2), "negative eigenvalue"),
        (torch.tensor([[0.0, 1.0], [1.0, 0.0]]), "negative eigenvalue"),
        ([[1.0]], "list"),
        (DenseJacobian(torch.ones(1, 1)), None),
    ],
)
def test_what_is_no_kernel_is_refused_in_one_sentence(bad, words):
    if words is None:  # the control: a good Jacobian passes
        assert spectrum(bad).rank == 1
        return
    with pytest.raises(InputError, match=words) as caught:
        spectrum(bad)
    assert "\n" not in str(caught.value)


def test_routes_are_named_and_suggested():
    with pytest.raises(InputError, match="did you mean 'gram'"):
        spectrum(random_jacobian(2, 2, 0), route="grma")
    with pytest.raises(InputError, match="needs a Jacobian"):
        spectrum(torch.eye(2), route="svd")
