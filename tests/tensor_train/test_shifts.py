"""Where blocks fall on rows, and a core that meets rank-one cotangents there, beside loops."""

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.tensor_train import compiled
from ntklab.tensor_train.shifts import ShiftedCore, Shifts

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
def test_neighbours_in_the_order_of_meetings_are_apart(blocks, size, length):
    """Shifts rise within a turn and none is repeated there; the turns follow each other."""
    shift = Shifts.of(blocks, size, length).shift.tolist()
    turns = [shift[:p].count(tau) for p, tau in enumerate(shift)]
    assert turns == sorted(turns)
    for turn in set(turns):
        rising = [tau for tau, its in zip(shift, turns, strict=True) if its == turn]
        assert rising == sorted(set(rising))


@st.composite
def layers(draw):
    """Sizes d, b, m, A, r, s, C, n and a tail e with A m = d b + e."""
    blocks, size, extra = draw(small), draw(small), draw(st.integers(0, 9))
    total = blocks * size + extra
    length = draw(st.sampled_from([m for m in range(1, total + 1) if total % m == 0]))
    following, outputs, samples = (draw(st.integers(1, 3)) for _ in range(3))
    rank = draw(st.integers(1, 9))
    return blocks, size, extra, length, total // length, rank, following, outputs, samples


def drawn(sizes, seed, dtype=torch.float64):
    blocks, size, extra, length, rows, rank, following, outputs, samples = sizes
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    left, core = normal(rows, rank), normal(rank, length, following)
    layer = (
        normal(samples, blocks),
        normal(samples, outputs, following, size),
        normal(samples, outputs, following, extra),
    )
    return ShiftedCore(left, core, blocks=blocks, size=size, tail=extra), left, core, layer


def by_outer_products(left, core, features, filters, tail):
    """Every cotangent formed: φ ⊗ y and its tail, cut into rows."""
    whole = torch.einsum("nd,ncsb->ncsdb", features, filters).flatten(3)
    rows = torch.cat([whole, tail], dim=3).unflatten(3, (len(left), -1))
    gradient = torch.einsum("ar,ncsam->ncrms", left, rows).flatten(2)
    return gradient, torch.einsum("rms,ncsam->ncar", core, rows)


@settings(max_examples=80, deadline=None)
@given(layers(), st.integers(0, 2), seeds)
def test_a_core_meets_what_the_outer_product_holds(sizes, offset, seed):
    shifted, left, core, layer = drawn(sizes, seed)
    gradient, onward = by_outer_products(left, core, *layer)
    rows = torch.full((*layer[1].shape[:2], offset + core.numel() + 1), 7.0, dtype=torch.float64)
    found = shifted.meet(*layer, rows, offset)
    torch.testing.assert_close(found, onward, rtol=1e-12, atol=1e-12)
    mine = slice(offset, offset + core.numel())
    torch.testing.assert_close(rows[..., mine], gradient, rtol=1e-12, atol=1e-12)
    assert (rows[..., :offset] == 7).all()
    assert (rows[..., mine.stop :] == 7).all()


def test_the_loop_does_the_same_before_it_is_compiled(monkeypatch):
    """The lines themselves, run by the interpreter, with vectors as slices."""
    sizes = (5, 3, 4, 19, 1, 6, 2, 2, 3)
    shifted, _, core, layer = drawn(sizes, 0)
    wanted = torch.zeros(3, 2, core.numel(), dtype=torch.float64)
    onward = shifted.meet(*layer, wanted, 0)
    for name in ("_add", "_convolve", "_write", "_aligned", "meet"):
        monkeypatch.setattr(compiled, name, getattr(compiled, name).py_func)
    monkeypatch.setattr(compiled, "_add_lanes", add_lanes)
    monkeypatch.setattr(compiled, "_add_taps", add_taps)
    found = torch.zeros_like(wanted)
    torch.testing.assert_close(shifted.meet(*layer, found, 0), onward)
    torch.testing.assert_close(found, wanted)


def add_lanes(goal, place, weight, source, at):
    for lane in range(compiled.LANES):
        goal[place + np.uint64(lane)] += weight * source[at + np.uint64(lane)]


def add_taps(totals, filters, tap, seen, start, step):
    for q in range(compiled.TAPS):
        at = start + (compiled.TAPS - 1 - q) * step
        totals += filters[:, tap + q, None] * seen[at : at + totals.shape[1]]


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([np.float32, np.float64]), st.integers(1, 3), st.integers(1, 5), seeds)
def test_vectors_are_slices(dtype, blocks, step, seed):
    """The two pieces of code that are written for numba, beside numpy."""
    random = np.random.default_rng(seed)
    width, taps = blocks * compiled.WIDTH, 2 * compiled.TAPS
    filters = random.standard_normal((compiled.TOGETHER, taps)).astype(dtype)
    seen = random.standard_normal(width + (compiled.TAPS - 1) * step + 3).astype(dtype)
    totals = random.standard_normal((compiled.TOGETHER, width)).astype(dtype)
    wanted = totals.copy()
    add_taps(wanted, filters, 3, seen, 2, step)
    by_taps(totals, filters, 3, seen, 2, step)
    accuracy = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(totals, wanted, rtol=accuracy, atol=16 * accuracy)
    wanted = seen.copy()
    add_lanes(wanted, np.uint64(step), filters[0, 0], totals[0], np.uint64(1))
    by_lanes(seen, np.uint64(step), filters[0, 0], totals[0], np.uint64(1))
    np.testing.assert_allclose(seen, wanted, rtol=accuracy, atol=16 * accuracy)


@compiled.compiled
def by_lanes(goal, place, weight, source, at):
    compiled._add_lanes(goal, place, weight, source, at)


@compiled.compiled
def by_taps(totals, filters, tap, seen, start, step):
    compiled._add_taps(totals, filters, tap, seen, start, step)


def test_vectors_are_refused_where_numbers_are_not_neighbours():
    with pytest.raises(numba.TypingError, match="contiguous"):
        by_lanes(np.zeros(16)[::2], np.uint64(0), 1.0, np.zeros(8), np.uint64(0))


def test_float32_agrees_with_float64():
    sizes = (64, 8, 16, 33, 16, 2, 1, 2, 9)
    shifted, left, core, layer = drawn(sizes, 5, torch.float32)
    gradient, onward = by_outer_products(
        *(part.double() for part in (left, core)), *(part.double() for part in layer)
    )
    rows = torch.zeros(9, 2, core.numel())
    found = shifted.meet(*layer, rows, 0)
    assert found.dtype == torch.float32
    assert float((found - onward).abs().max() / onward.abs().max()) < 2e-6
    assert float((rows - gradient).abs().max() / gradient.abs().max()) < 2e-6


def test_what_is_held_of_a_sample():
    shifted, *_ = drawn((64, 8, 16, 33, 16, 2, 1, 2, 1), 0)
    correlated, cotangent = 2 * 2 * (33 + 8 - 1), 2 * 2 * 16
    assert shifted.bytes_per_sample(2, 8) == 8 * (correlated + cotangent)


def test_no_folder_for_the_compiled_code(monkeypatch):
    """numba refuses to keep code where nothing may be written; the loop must run all the same."""
    calls = []

    def njit(**options):
        calls.append(options.get("cache", False))
        if calls[-1]:
            raise RuntimeError("cannot cache function")
        return lambda function: function

    monkeypatch.setattr(compiled.numba, "njit", njit)
    assert compiled.compiled(len) is len
    assert calls == [True, False]
