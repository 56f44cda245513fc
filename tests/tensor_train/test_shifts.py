"""Where blocks fall on rows, and the two contractions by shifts, beside loops."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.tensor_train.shifts import Shifts, core_gradient, pays, retreat, shifted_core

small = st.integers(1, 7)
seeds = st.integers(0, 2**31 - 1)


def met(blocks, size, length):
    """Every block, row and shift by looking at each number."""
    numbers = range(blocks * size)
    return sorted(
        {(p // size, p // length, p // size * size - p // length * length) for p in numbers}
    )


@given(small, small, small)
def test_meetings_by_enumeration(blocks, size, length):
    shifts = Shifts.of(blocks, size, length)
    found = zip(shifts.block, shifts.row, shifts.shift - (size - 1), strict=True)
    assert sorted((int(i), int(a), int(t)) for i, a, t in found) == met(blocks, size, length)
    assert shifts.shift.min() >= 0
    assert shifts.shift.max() < shifts.window


@given(small, small, small)
def test_turns_hold_every_meeting_once(blocks, size, length):
    shifts = Shifts.of(blocks, size, length)
    found = [
        (int(i), a, int(t) - (size - 1))
        for block, shift in shifts.turns
        for a, (i, t) in enumerate(zip(block, shift, strict=True))
        if t < shifts.window
    ]
    assert sorted(found) == met(blocks, size, length)


def outer(features, y, length):
    """φ ⊗ y laid flat and cut into rows, the last filled up with zeros: (A, m, C, n)."""
    flat = (features[:, None, None] * y).flatten(0, 1)
    rows = -(-len(flat) // length)
    whole = flat.new_zeros(rows * length, *flat.shape[1:])
    whole[: len(flat)] = flat
    return whole.unflatten(0, (rows, length))


@settings(max_examples=40, deadline=None)
@given(small, small, small, st.integers(1, 3), seeds)
def test_gradient_and_retreat_are_those_of_the_outer_product(blocks, size, length, rank, seed):
    torch.manual_seed(seed)
    features, y = torch.randn(blocks, 4).double(), torch.randn(size, 2, 4).double()
    rows = outer(features, y, length)
    left, core = torch.randn(len(rows), rank).double(), torch.randn(rank, length, 1).double()
    shifts = Shifts.of(blocks, size, length)
    seen = (shifts.gather(left) @ features).reshape(rank, shifts.window, 4)
    gradient = torch.stack(list(core_gradient(seen, y, length)), dim=2)
    wanted = torch.einsum("ar,amcn->rmcn", left, rows)
    torch.testing.assert_close(gradient, wanted, rtol=1e-12, atol=1e-12)
    back = retreat(shifts, shifted_core(core, size), features, y.unsqueeze(1))
    wanted = torch.einsum("rm,amcn->arcn", core[..., 0], rows).flatten(2)
    torch.testing.assert_close(back, wanted, rtol=1e-12, atol=1e-12)


def test_shifts_pay_in_float32_where_they_are_fewer_than_blocks():
    like = torch.zeros(1)
    one_dnn = torch.backends.mkldnn.is_available()
    assert pays(32896, 512, 64, 257, like) == one_dnn
    assert not pays(32896, 512, 64, 257, like.double())
    assert not pays(32896, 300, 64, 257, like)
    assert not pays(100, 512, 64, 257, like)
