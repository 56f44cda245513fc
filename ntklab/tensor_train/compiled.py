"""A loop that array operations cannot express without forming what it avoids.

Compiled by numba at its first call and kept on disk; it holds no lock of the interpreter, so that
its caller may run it in threads. Only sums of scaled vectors, in one fixed order: equal results
from run to run, whatever the number of threads.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Taps of the convolution taken at a time; filters are filled up with zeros to a multiple of it.
TAPS = 8
_1, _2, _3, _4, _5, _6, _7 = (np.uint64(n) for n in range(1, TAPS))


def compiled(function: Callable[..., None]) -> Any:
    # Products and sums may fuse; nothing may be reordered.
    options: Any = {"nogil": True, "fastmath": {"contract", "nsz"}, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder may be written: every process compiles anew
        return numba.njit(**options)(function)


@compiled
def _see(
    feature: Array, weights: Array, blocks: Array, front: int, held: Array, seen: Array
) -> None:
    """seen[α, front + τ] = Σ left[a, α] φ_i over the meetings at τ."""
    seen[:] = 0
    for turn in range(len(weights)):
        for t in range(len(held)):
            held[t] = feature[blocks[turn, t]]
        for alpha in range(len(seen)):
            weight, place = weights[turn, alpha], seen[alpha, front:]
            for t in range(len(held)):
                place[t] += weight[t] * held[t]


@compiled
def _convolve(filters: Array, seen: Array, totals: Array) -> None:
    """totals[f, j] += Σ_i filters[f, i] seen[b' − 1 − i + j] for two filters at a time."""
    first, second, taps = totals[0], totals[1], filters.shape[1]
    for k in range(0, taps, TAPS):
        y, z, near = filters[0, k:], filters[1, k:], seen[taps - TAPS - k :]
        y0, y1, y2, y3, y4, y5, y6, y7 = y[0], y[1], y[2], y[3], y[4], y[5], y[6], y[7]
        z0, z1, z2, z3, z4, z5, z6, z7 = z[0], z[1], z[2], z[3], z[4], z[5], z[6], z[7]
        # An index without a sign needs no test for counting from the end; what is seen is read once
        # for both filters, as a store between them would have it read again.
        for j in range(np.uint64(len(first))):
            s7, s6, s5, s4 = near[j], near[j + _1], near[j + _2], near[j + _3]
            s3, s2, s1, s0 = near[j + _4], near[j + _5], near[j + _6], near[j + _7]
            early = y0 * s0 + y1 * s1 + y2 * s2 + y3 * s3
            for_first = first[j] + early + (y4 * s4 + y5 * s5 + y6 * s6 + y7 * s7)
            early = z0 * s0 + z1 * s1 + z2 * s2 + z3 * s3
            for_second = second[j] + early + (z4 * s4 + z5 * s5 + z6 * s6 + z7 * s7)
            first[j], second[j] = for_first, for_second


@compiled
def _add_tail(tail: Array, left: Array, total: Array) -> None:
    """total += Σ_a left[a] tail_a, the tail laid over rows so that it ends the last one."""
    stop = len(tail)
    for row in range(len(left) - 1, -1, -1):
        part = tail[max(0, stop - len(total)) : stop]
        place = total[len(total) - len(part) :]
        for j in range(len(part)):
            place[j] += left[row] * part[j]
        stop -= len(part)


@compiled
def _retreat(feature: Array, correlated: Array, size: int, length: int, cotangent: Array) -> None:
    """cotangent[c, a, α] = Σ φ_i correlated[c, τ, α] over the blocks i that row a meets."""
    outputs, rows, rank = cotangent.shape
    fours, step, zero = rank - rank % 4, np.uint64(size * rank), feature.dtype.type(0)
    for c in range(0, outputs, 2):
        d = min(c + 1, outputs - 1)  # the last of an odd number twice
        x, y = correlated[c].ravel(), correlated[d].ravel()
        for a in range(rows):
            first = np.uint64(a * length // size)
            stop = np.uint64(min(len(feature), ((a + 1) * length - 1) // size + 1))
            start = ((a * length // size + 1) * size - 1 - a * length) * rank
            for alpha in range(0, fours, 4):
                place = np.uint64(start + alpha)
                x0 = x1 = x2 = x3 = y0 = y1 = y2 = y3 = zero
                for i in range(first, stop):
                    phi = feature[i]
                    x0 += phi * x[place]
                    x1 += phi * x[place + _1]
                    x2 += phi * x[place + _2]
                    x3 += phi * x[place + _3]
                    y0 += phi * y[place]
                    y1 += phi * y[place + _1]
                    y2 += phi * y[place + _2]
                    y3 += phi * y[place + _3]
                    place += step
                by_x, by_y = cotangent[c, a, alpha:], cotangent[d, a, alpha:]
                by_x[0], by_x[1], by_x[2], by_x[3] = x0, x1, x2, x3
                by_y[0], by_y[1], by_y[2], by_y[3] = y0, y1, y2, y3
            for alpha in range(fours, rank):
                place = np.uint64(start + alpha)
                x0 = y0 = zero
                for i in range(first, stop):
                    x0 += feature[i] * x[place]
                    y0 += feature[i] * y[place]
                    place += step
                cotangent[c, a, alpha], cotangent[d, a, alpha] = x0, y0


@compiled
def _write(total: Array, row: Array, step: int) -> None:
    """row[j · step] = total[j]."""
    if step == 1:  # in whole vectors
        row[: len(total)] = total
    else:
        row[: step * len(total) : step] = total


@compiled
def meet(
    length: int,
    size: int,
    features: Array,
    filters: Array,
    tail: Array,
    correlated: Array,
    weights: Array,
    left_of_tail: Array,
    block_by_shift: Array,
    rows: Array,
    offset: int,
    cotangent: Array,
) -> None:
    """Both contractions of `ntklab.tensor_train.shifts` for a batch of samples.

    Args:
        length: m.
        size: b.
        features: φ, (n, d).
        filters: y, (n, C s, b') with zeros beyond b.
        tail: what follows the blocks, (n, C s, e).
        correlated: y against the core at every shift, (n, C, m + b − 1, r).
        weights: left[a, α] of the u-th meeting at every shift, (u, r, m + b − 1), or zero.
        left_of_tail: left[a, α] of the rows that the tail lies in, (r, count).
        block_by_shift: block of that meeting, (u, m + b − 1).
        rows: (n, C, P); the core's gradient (r, m, s) is written from column `offset` on.
        offset: see `rows`.
        cotangent: (n, C, a, r); the meetings' sums are written to it.
    """
    rank, window = weights[0].shape
    count, taps = filters[0].shape
    outputs = rows.shape[1]
    following = count // outputs
    front = taps - size  # zeros that the filters' filling meets
    seen = np.zeros((rank, front + window), features.dtype)
    totals = np.zeros((2, length), features.dtype)
    pair = np.zeros((2, taps), features.dtype)
    at_shift = np.zeros(window, features.dtype)
    for n in range(len(features)):
        _see(features[n], weights, block_by_shift, front, at_shift, seen)
        for f in range(0, count, 2):
            both = f, min(f + 1, count - 1)  # the last of an odd number twice
            for side in range(2):
                pair[side] = filters[n, both[side]]
            for alpha in range(rank):
                totals[:] = 0
                _convolve(pair, seen[alpha], totals)
                for side in range(2):
                    c, s = both[side] // following, both[side] % following
                    _add_tail(tail[n, both[side]], left_of_tail[alpha], totals[side])
                    first = offset + alpha * length * following + s
                    _write(totals[side], rows[n, c, first:], following)
        _retreat(features[n], correlated[n], size, length, cotangent[n])
