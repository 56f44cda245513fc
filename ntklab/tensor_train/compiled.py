"""A loop that array operations cannot express without forming what it avoids.

Compiled by numba at its first call and kept on disk; it holds no lock of the interpreter, so that
its caller may run it in threads. Only sums of scaled vectors, in one fixed order: equal results
from run to run, whatever the number of threads. The bond α is the last index of all that it sums,
so that a shift by one moves whole groups of r numbers.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array
from numpy.typing import NDArray

Array = NDArray[Any]

#: Numbers of a vector in the convolution; what it adds to is filled up to a multiple of it.
WIDTH = 16
#: Taps of the convolution taken at a time; filters are filled up with zeros to a multiple of it.
TAPS = 8
#: Filters that are convolved together, as they meet the same features.
TOGETHER = 2
#: Bond indices that are added as one vector.
LANES = 4


def compiled(function: Callable[..., Any]) -> Any:
    # Products and sums may fuse; nothing may be reordered.
    options: Any = {"nogil": True, "fastmath": {"contract", "nsz"}, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder may be written: every process compiles anew
        return numba.njit(**options)(function)


def _generated(function: Callable[..., Any]) -> Any:
    # Called without the typing context, which only numba gives.
    return intrinsic(function)


class _Vectors:
    """Neighbouring numbers as one vector, in the code that numba generates.

    By itself numba takes groups of a few numbers one by one and keeps vectors to half the width
    that some processors have. (In this file, as code kept on disk is made anew when it changes.)
    """

    def __init__(self, context: Any, builder: Any, width: int) -> None:
        self._context, self._builder, self._width = context, builder, width

    def first(self, kind: types.Array, array: Any) -> tuple[Any, Any]:
        """Pointer to an array's first number, and the length of its rows."""
        struct = make_array(kind)(self._context, self._builder, array)
        return struct.data, cgutils.unpack_tuple(self._builder, struct.shape, kind.ndim)[-1]

    def at(self, first: Any, *offsets: Any) -> Any:
        """The vector that begins some numbers further."""
        for offset in offsets:
            first = self._builder.gep(first, [offset])
        vector = ir.VectorType(first.type.pointee, self._width)
        return self._builder.bitcast(first, vector.as_pointer())

    def load(self, place: Any) -> Any:
        return self._builder.load(place, align=self._alignment(place))

    def store(self, vector: Any, place: Any) -> None:
        self._builder.store(vector, place, align=self._alignment(place))

    def _alignment(self, place: Any) -> int:
        return int(self._context.get_abi_sizeof(place.type.pointee.element))

    def spread(self, number: Any) -> Any:
        """A number in every lane."""
        vector = ir.VectorType(number.type, self._width)(ir.Undefined)
        for lane in range(self._width):
            vector = self._builder.insert_element(vector, number, ir.IntType(32)(lane))
        return vector

    def multiply_add(self, weight: Any, vector: Any, total: Any) -> Any:
        fusing = ("contract",)
        product = self._builder.fmul(weight, vector, flags=fusing)
        return self._builder.fadd(total, product, flags=fusing)


def _contiguous(*arrays: types.Array) -> None:
    if any(array.layout != "C" for array in arrays):
        raise numba.TypingError("vectors are taken of contiguous arrays alone")


@_generated
def _add_lanes(typing: Any, goal: Any, place: Any, weight: Any, source: Any, at: Any) -> Any:
    """goal[place + lane] += weight source[at + lane] for every lane."""
    _contiguous(goal, source)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        goals, place, weight, sources, at = arguments
        vectors = _Vectors(context, builder, LANES)
        here = vectors.at(vectors.first(goal, goals)[0], place)
        there = vectors.at(vectors.first(source, sources)[0], at)
        added = vectors.load(there), vectors.load(here)
        vectors.store(vectors.multiply_add(vectors.spread(weight), *added), here)
        return context.get_dummy_value()

    return types.void(goal, types.uint64, weight, source, types.uint64), generate


@_generated
def _add_taps(
    typing: Any, totals: Any, filters: Any, tap: Any, seen: Any, start: Any, step: Any
) -> Any:
    """totals[f, j] += Σ_q filters[f, tap + q] seen[start + (TAPS − 1 − q) step + j] for all j."""
    _contiguous(totals, filters, seen)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        goals, weights, tap, source, start, step = arguments
        vectors = _Vectors(context, builder, WIDTH)
        total, length = vectors.first(totals, goals)
        weight, taps = vectors.first(filters, weights)
        near = [builder.gep(vectors.first(seen, source)[0], [start])]
        rows, spreads = [total], []
        for _ in range(TAPS - 1):
            near.insert(0, builder.gep(near[0], [step]))
        for row in range(TOGETHER):
            if row > 0:
                rows.append(builder.gep(rows[-1], [length]))
                weight = builder.gep(weight, [taps])
            places = [builder.add(tap, cgutils.intp_t(q)) for q in range(TAPS)]
            numbers = [builder.load(builder.gep(weight, [place])) for place in places]
            spreads.append([vectors.spread(number) for number in numbers])
        zero, width = cgutils.intp_t(0), cgutils.intp_t(WIDTH)
        with cgutils.for_range_slice(builder, zero, length, width) as (j, _):
            goals = [vectors.at(row, j) for row in rows]
            sums = [vectors.load(goal) for goal in goals]
            for q in range(TAPS):
                vector = vectors.load(vectors.at(near[q], j))
                sums = [
                    vectors.multiply_add(each[q], vector, total)
                    for each, total in zip(spreads, sums, strict=True)
                ]
            for total, goal in zip(sums, goals, strict=True):
                vectors.store(total, goal)
        return context.get_dummy_value()

    index = types.intp
    return types.void(totals, filters, index, seen, index, index), generate


@compiled
def _add(
    goal: Array, places: Array, weights: Array, source: Array, origins: Array, rank: int
) -> None:
    """goal[place_p + α] += weight_p source[origin_p + α] for every p, α < rank."""
    whole = np.uint64(rank - rank % LANES)
    for alpha in range(np.uint64(0), whole, np.uint64(LANES)):
        for p in range(np.uint64(len(weights))):
            _add_lanes(goal, places[p] + alpha, weights[p], source, origins[p] + alpha)
    for alpha in range(whole, np.uint64(rank)):
        for p in range(np.uint64(len(weights))):
            goal[places[p] + alpha] += weights[p] * source[origins[p] + alpha]


@compiled
def _convolve(filters: Array, seen: Array, totals: Array, rank: int) -> None:
    """totals[f, (j, α)] += Σ_i filters[f, i] seen[(b' − 1 − i + j, α)] for filters together."""
    taps = filters.shape[1]
    for tap in range(0, taps, TAPS):
        _add_taps(totals, filters, tap, seen, (taps - TAPS - tap) * rank, rank)


@compiled
def _write(total: Array, length: int, rank: int, row: Array, step: int) -> None:
    """row[(α m + j) · step] = total[j, α]."""
    bonds, apart, stop = np.uint64(rank), np.uint64(step), np.uint64(length)
    for alpha in range(bonds):
        place = row[alpha * stop * apart :]
        for j in range(stop):
            place[j * apart] = total[j * bonds + alpha]


@compiled
def _aligned(count: int, dtype: Any) -> Array:
    """Zeros that begin with a cache line, so that no vector that is stored there crosses one."""
    room = np.zeros(count + WIDTH, dtype)
    first = -room.ctypes.data % (WIDTH * room.itemsize) // room.itemsize
    return room[first : first + count]


@compiled
def meet(
    length: int,
    features: Array,
    filters: Array,
    tail: Array,
    correlated: Array,
    left: Array,
    meetings: Array,
    tail_places: Array,
    rows: Array,
    offset: int,
    cotangent: Array,
) -> None:
    """Both contractions of `ntklab.tensor_train.shifts` for a batch of samples.

    Args:
        length: m.
        features: φ, (n, d).
        filters: y, (n, C s, b') with zeros beyond b, or (1, C s, b') for all samples.
        tail: what follows the blocks, (n, C s, e).
        correlated: y against the core at every shift, (n or 1, C, (m + b − 1) r).
        left: of every row, (A, r).
        meetings: block, row · r and shift · r of each, (3, p).
        tail_places: where a number of the tail falls, place · r and row · r, (2, e).
        rows: (n, C, P); the core's gradient (r, m, s) is written from column `offset` on.
        offset: see `rows`.
        cotangent: (n, C, a, r); the meetings' sums are written to it.
    """
    rank, (count, taps), outputs = left.shape[1], filters[0].shape, rows.shape[1]
    following, window = count // outputs, correlated.shape[2]
    front = (taps - 1 + length) * rank - window  # zeros that the filters' filling meets
    filled = -(-length * rank // WIDTH) * WIDTH  # sums in whole vectors; the last meets zeros too
    (block, row, shift), (place, of_place) = meetings, tail_places
    of_rows = left.ravel()
    held = np.zeros(len(block), features.dtype)
    seen = np.zeros(front + window + filled - length * rank, features.dtype)
    near = seen[front : front + window]
    totals = _aligned(TOGETHER * filled, features.dtype).reshape(TOGETHER, filled)
    pair = np.zeros((TOGETHER, taps), features.dtype)
    for n in range(len(features)):
        its = n % len(filters)
        for p in range(np.uint64(len(block))):
            held[p] = features[n, block[p]]
        near[:] = 0
        _add(near, shift, held, of_rows, row, rank)
        for f in range(0, count, TOGETHER):
            for side in range(TOGETHER):  # behind the last filter that one again, for nothing
                pair[side] = filters[its, min(f + side, count - 1)]
            totals[:] = 0
            _convolve(pair, seen, totals, rank)
            for side in range(min(TOGETHER, count - f)):
                c, s = (f + side) // following, (f + side) % following
                _add(totals[side], place, tail[n, f + side], of_rows, of_place, rank)
                _write(totals[side], length, rank, rows[n, c, offset + s :], following)
        for c in range(outputs):
            onward = cotangent[n, c].ravel()
            onward[:] = 0
            _add(onward, row, held, correlated[its, c], shift, rank)
