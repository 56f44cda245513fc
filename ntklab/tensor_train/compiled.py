"""The one loop of this library that array operations cannot express without forming what it avoids.

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


def _compiled(function: Callable[..., None]) -> Any:
    # Products and sums may fuse; nothing may be reordered.
    options: Any = {"nogil": True, "fastmath": {"contract", "nsz"}, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder may be written: every process compiles anew
        return numba.njit(**options)(function)


@_compiled
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


@_compiled
def _add_taps(y: Array, seen: Array, last: int, total: Array) -> None:
    """total[j] += Σ_i y[i] seen[last − i + j] over eight taps."""
    size = len(total)
    a, b = seen[last : last + size], seen[last - 1 : last - 1 + size]
    c, d = seen[last - 2 : last - 2 + size], seen[last - 3 : last - 3 + size]
    e, f = seen[last - 4 : last - 4 + size], seen[last - 5 : last - 5 + size]
    g, h = seen[last - 6 : last - 6 + size], seen[last - 7 : last - 7 + size]
    y0, y1, y2, y3, y4, y5, y6, y7 = y[0], y[1], y[2], y[3], y[4], y[5], y[6], y[7]
    for j in range(size):
        total[j] += (y0 * a[j] + y1 * b[j] + y2 * c[j] + y3 * d[j]) + (
            y4 * e[j] + y5 * f[j] + y6 * g[j] + y7 * h[j]
        )


@_compiled
def _add_tail(tail: Array, left: Array, total: Array) -> None:
    """total += Σ_a left[a] tail_a, the tail laid over rows so that it ends the last one."""
    stop = len(tail)
    for row in range(len(left) - 1, -1, -1):
        part = tail[max(0, stop - len(total)) : stop]
        place = total[len(total) - len(part) :]
        for j in range(len(part)):
            place[j] += left[row] * part[j]
        stop -= len(part)


@_compiled
def _retreat(correlated: Array, shifts: Array, held: Array, cotangent: Array) -> None:
    """cotangent[a] += Σ φ_i correlated[τ] over the meetings of every row."""
    for turn in range(len(shifts)):
        for a in range(shifts.shape[1]):
            cotangent[a] += correlated[shifts[turn, a]] * held[turn, a]


@_compiled
def meet(
    start: int,
    stop: int,
    length: int,
    features: Array,
    filters: Array,
    tail: Array,
    correlated: Array,
    weights: Array,
    left_of_tail: Array,
    block_by_shift: Array,
    block_by_row: Array,
    shift_by_row: Array,
    rows: Array,
    offset: int,
    cotangent: Array,
) -> None:
    """Both contractions of `ntklab.tensor_train.shifts` for samples start..stop.

    Args:
        start: first sample.
        stop: after the last one.
        length: m.
        features: φ, (n, d).
        filters: y, (n, C, s, b') with zeros beyond b.
        tail: what follows the blocks, (n, C, s, e).
        correlated: y against the core at every shift, (n, C, r, m + b), the last entry zero.
        weights: left[a, α] of the u-th meeting at every shift, (u, r, m + b − 1), or zero.
        left_of_tail: left[a, α] of the rows that the tail lies in, (r, count).
        block_by_shift: block of that meeting, (u, m + b − 1).
        block_by_row: block of the t-th meeting of every row, (t, a).
        shift_by_row: its shift, (t, a); m + b − 1 where there is none.
        rows: (n, C, P); the core's gradient (r, m, s) is written from column `offset` on.
        offset: see `rows`.
        cotangent: (n, C, r, A), to which the meetings are added.
    """
    rank, window = weights[0].shape
    outputs, following, taps = filters[0].shape
    front = taps - (window - length + 1)  # zeros that the filters' filling meets
    seen = np.zeros((rank, front + window), features.dtype)
    total = np.zeros(length, features.dtype)
    at_shift = np.zeros(window, features.dtype)
    at_row = np.zeros(block_by_row.shape, features.dtype)
    for n in range(start, stop):
        _see(features[n], weights, block_by_shift, front, at_shift, seen)
        for turn in range(len(at_row)):
            for a in range(len(at_row[turn])):
                at_row[turn, a] = features[n, block_by_row[turn, a]]
        for c in range(outputs):
            for alpha in range(rank):
                for s in range(following):
                    total[:] = 0
                    for k in range(0, taps, TAPS):
                        _add_taps(filters[n, c, s, k:], seen[alpha], taps - 1 - k, total)
                    _add_tail(tail[n, c, s], left_of_tail[alpha], total)
                    first = offset + alpha * length * following + s
                    rows[n, c, first : first + length * following : following] = total
                _retreat(correlated[n, c, alpha], shift_by_row, at_row, cotangent[n, c, alpha])
