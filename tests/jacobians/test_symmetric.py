"""Tiles of one triangle, side by side, beside one product."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.adapters import METHODS, build_adapter
from ntklab.jacobians import ENGINES, jacobian, weight_kernel
from ntklab.jacobians.softmax_weighted import SoftmaxWeightedJacobian
from ntklab.jacobians.symmetric import _tiles, gram_matrices, gram_matrix, mirror, symmetric_product
from ntklab.spectra import CentredJacobian, DenseJacobian, centre_kernel


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 90),
    size=st.integers(1, 5),
    stack=st.sampled_from([(), (1,), (3,)]),
    least=st.integers(1, 40),
)
def test_it_is_the_product(length, size, stack, least):
    factor = torch.randn(*stack, length, size, dtype=torch.float64)
    product = factor.new_full((*stack, length, length), float("nan"))
    symmetric_product(factor, out=product, least=least)
    torch.testing.assert_close(product, factor @ factor.mT, rtol=1e-12, atol=1e-12)
    assert torch.equal(product, product.mT)


@pytest.mark.parametrize("length", [1, 2, 255, 256, 257, 600])
@pytest.mark.parametrize("stack", [(), (3,)])
def test_the_lower_triangle_is_what_a_mirrored_matrix_has(length, stack):
    matrix = torch.randn(*stack, length, length)
    lower = matrix.tril()
    matrix = matrix + torch.full_like(matrix, float("nan")).triu(1)
    assert mirror(matrix) is matrix
    assert torch.equal(matrix.tril(), lower)
    assert torch.equal(matrix.triu(), lower.mT)


def kernels_of(J):
    """Every kernel of a Jacobian that is symmetric in exact arithmetic."""
    for output in ("full", "trace", "pseudo", "diagonal"):
        yield f"gram {output}", J.gram(output=output)
        yield (
            f"gram {output}, in blocks",
            jacobian(
                J.engine.functional.module,
                J.x,
                engine=J.engine.name,
                memory=max(1 << 17, J.engine.fixed_bytes() + J.bytes_per_sample),
            ).gram(output=output),
        )
    yield "dual gram", J.dual_gram()
    yield from J.core_grams().items()
    p = torch.softmax(torch.randn(J.n_samples, J.n_outputs, dtype=torch.float64), 1)
    for wrapped in (CentredJacobian(J), SoftmaxWeightedJacobian(J, p), DenseJacobian(J.dense(), 3)):
        yield f"{type(wrapped).__name__} gram", wrapped.gram()
        yield f"{type(wrapped).__name__} dual gram", wrapped.dual_gram()
    for compress in (False, True):
        yield "centred", centre_kernel(J.gram(), J.n_outputs, compress=compress)


@pytest.mark.parametrize("engine", ["auto", *(name for name in ENGINES if name != "structured")])
@pytest.mark.parametrize("method", [*METHODS, None])
def test_kernels_are_their_own_transpose_bit_for_bit(method, engine):
    """Whatever the order in which this processor's BLAS sums: `make processors` tries others."""
    if method is None:
        model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    else:
        sizes = {"width": 6} if method == "tensorguide" else {}
        model = build_adapter(method, 4, 3, generator=torch.Generator().manual_seed(0), **sizes)
    for samples in (2, 7, 31):
        x = torch.randn(samples, 4, dtype=torch.float64)
        J = jacobian(model.double(), x, engine=engine)
        for name, kernel in kernels_of(J):
            assert torch.equal(kernel, kernel.mT), name


@pytest.mark.parametrize("method", ["lora", "tt-lora", "tensorguide", "tt-delta"])
def test_the_kernel_of_weights_is_its_own_transpose_bit_for_bit(method):
    sizes = {"width": 6} if method == "tensorguide" else {}
    head = build_adapter(method, 9, 3, dtype=torch.float64, **sizes)
    kernel = weight_kernel(head, torch.randn(7, 9, dtype=torch.float64))
    assert torch.equal(kernel, kernel.mT)


@pytest.mark.parametrize("length", [1, 3, 128, 129, 300])
def test_gram_matrices_are_products_and_symmetric(length):
    factors = [torch.randn(length, width, dtype=torch.float64) for width in (1, 4, 70)]
    for factor, product in zip(factors, gram_matrices(*factors), strict=True):
        by_rows = torch.stack([factor @ row for row in factor])
        torch.testing.assert_close(product, by_rows, rtol=1e-12, atol=1e-12)
        assert torch.equal(product, product.mT)


def test_the_mean_of_two_triangles_does_not_overflow():
    largest = torch.finfo(torch.float32).max
    assert gram_matrix(torch.tensor([[largest**0.5]])).isfinite().all()


def test_a_gram_matrix_records_no_gradient():
    factor = torch.randn(3, 2, requires_grad=True)
    assert not gram_matrix(factor).requires_grad


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 100), st.integers(1, 300))
def test_tiles_cover_a_triangle_once(length, least, side):
    side = max(least, side)
    count = torch.zeros(length, length, dtype=torch.int64)
    for tile in _tiles(0, length, least, side):
        rows, columns = slice(*tile.rows), slice(*tile.columns)
        assert tile.entries == count[rows, columns].numel()
        assert max(count[rows, columns].shape) <= side + 15  # whole cache lines
        count[rows, columns] += 1
        if tile.rows != tile.columns:
            count[columns, rows] += 1
    assert (count == 1).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_part_of_a_larger_matrix(threads):
    """Strided goals, as a kernel computed in blocks has them; other threads than torch's."""
    factor = torch.randn(70, 9)
    whole = torch.zeros(100, 100)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        symmetric_product(factor, out=whole[20:90, 20:90], least=8)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(whole[20:90, 20:90], factor @ factor.T)
    assert whole[:20].abs().sum() == whole[:, 90:].abs().sum() == 0
