"""Tiles of one triangle, side by side, beside one product."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.jacobians.symmetric import _tiles, symmetric_product


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 90),
    size=st.integers(1, 5),
    stack=st.sampled_from([(), (1,), (3,)]),
    least=st.integers(1, 40),
)
def test_it_is_the_product(length, size, stack, least):
    factor = torch.randn(*stack, length, size, dtype=torch.float64)
    found = factor.new_full((*stack, length, length), float("nan"))
    symmetric_product(factor, out=found, least=least)
    torch.testing.assert_close(found, factor @ factor.mT, rtol=1e-12, atol=1e-12)
    assert torch.equal(found, found.mT)


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
