"""A rank-one cotangent met by the last core of a train, without forming the outer product.

A hidden layer's cotangent by W1 is φ ⊗ y, flat: d blocks of b numbers, block i being φ_i y. The
train's last core cuts the same numbers into rows of m. Where block i starts t places after row a
does, it contributes φ_i y[k − t] to place k of that row. So over all rows the core sees a
convolution of y, and what goes on to the cores on its left is a correlation of y with the core:
d·b numbers a cotangent are replaced by the m + b − 1 shifts that occur.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Shifts:
    """Where d blocks of b numbers fall on rows of m numbers, laid end to end.

    Block i meets row a where i b − a m = t lies in (−b, m); τ = t + b − 1 counts from 0.

    Attributes:
        blocks: d.
        size: b.
        length: m.
        block: i of every meeting.
        row: a of every meeting.
        shift: τ of every meeting; the first meetings at all shifts, then the second, and so on, so
            that neighbours in this order add to different rows and different shifts.
    """

    blocks: int
    size: int
    length: int
    block: Int[np.ndarray, "p"]
    row: Int[np.ndarray, "p"]
    shift: Int[np.ndarray, "p"]

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, blocks: int, size: int, length: int) -> "Shifts":
        """All meetings, in O(d + d b/m).

        Example:
            >>> found = Shifts.of(3, 2, 4)
            >>> list(zip(found.block.tolist(), found.row.tolist(), found.shift.tolist()))
            [(0, 0, 1), (1, 0, 3), (2, 1, 1)]
        """
        first = np.arange(blocks) * size // length
        last = (np.arange(1, blocks + 1) * size - 1) // length
        counts = last - first + 1
        block = np.repeat(np.arange(blocks), counts)
        row = first[block] + _turns(block)
        shift = block * size - row * length + size - 1
        by_shift = np.argsort(shift, kind="stable")
        order = by_shift[np.argsort(_turns(shift[by_shift]), kind="stable")]
        return cls(blocks, size, length, block[order], row[order], shift[order])

    @property
    def window(self) -> int:
        """m + b − 1, how many shifts there can be."""
        return self.length + self.size - 1


def _turns(ascending: Int[np.ndarray, "p"]) -> Int[np.ndarray, "p"]:
    """How many equal entries stand before each."""
    return np.arange(len(ascending)) - np.searchsorted(ascending, ascending)


class ShiftedCore:
    """A core that meets rank-one cotangents by shifts, with all that depends on the train alone.

    A cotangent is φ ⊗ y followed by a tail, numbers of its own; one right bond after the other.

    Args:
        left: the cores on its left, contracted, (A, r).
        core: G with its latent mode put to its rank, (r, m, s).
        blocks: d.
        size: b.
        tail: e, so that A m = d b + e.
    """

    def __init__(
        self,
        left: Float[Tensor, "A r"],
        core: Float[Tensor, "r m s"],
        *,
        blocks: int,
        size: int,
        tail: int,
    ) -> None:
        rank, length, _ = core.shape
        self.shifts = Shifts.of(blocks, size, length)
        self.rows, self.rank = len(left), rank
        self._correlation = _correlation(core, size)
        self._tail_rows = -(-tail // length)
        self._by_tail = _tail_product(core, self._tail_rows, tail)
        self._left = left.contiguous()
        met = np.stack([self.shifts.block, self.shifts.row * rank, self.shifts.shift * rank])
        row, place = np.divmod(np.arange(len(left) * length - tail, len(left) * length), length)
        # Without a sign an index needs no test for counting from the end.
        self._meetings = met.astype(np.uint64)
        self._tail_places = np.stack([place * rank, row * rank]).astype(np.uint64)

    def __repr__(self) -> str:
        """Rows and rank."""
        return f"ShiftedCore(rows={self.rows}, rank={self.rank})"

    def bytes_per_sample(self, outputs: int, itemsize: int) -> int:
        """Numbers that `meet` keeps for each sample beside its arguments."""
        return outputs * self.rank * (self.shifts.window + self.rows) * itemsize

    def meet(
        self,
        features: Float[Tensor, "n d"],
        filters: Float[Tensor, "n C s b"],
        tail: Float[Tensor, "n C s e"],
        rows: Float[Tensor, "n C P"],
        offset: int,
    ) -> Float[Tensor, "n C A r"]:
        """The gradient by the core, into `rows`, and the cotangent for the cores on its left.

        Args:
            features: φ.
            filters: y for each output and right bond; of one sample, if all share them.
            tail: what follows φ ⊗ y.
            rows: contiguous; the gradient (r, m, s) goes to its columns from `offset` on.
            offset: see `rows`.

        Cost: r (2 m + b) b s multiply-adds a cotangent and r for each of the d + d b/m meetings;
        a little over half of it compiled, in the thread that calls, the rest one product, which
        shared filters need once a call.
        """
        from ntklab.tensor_train.compiled import TAPS, meet  # numba takes a while to import

        samples, (_, outputs, _, size) = len(features), filters.shape
        correlated = filters.flatten(2).flatten(0, 1) @ self._correlation
        filled = -(-size // TAPS) * TAPS - size
        flat = filters.flatten(1, 2)
        varying = (
            features.contiguous(),
            torch.nn.functional.pad(flat, (0, filled)) if filled else flat.contiguous(),
            tail.flatten(1, 2).contiguous(),
            correlated.view(-1, outputs, correlated.shape[1]),
            self._left,
        )
        arrays = [*(each.numpy() for each in varying), self._meetings, self._tail_places]
        cotangent = features.new_empty(samples, outputs, self.rows, self.rank)
        meet(self.shifts.length, *arrays, rows.numpy(), offset, cotangent.numpy())
        if self._tail_rows:
            by_tail = tail.reshape(samples * outputs, -1) @ self._by_tail
            ending = cotangent[:, :, -self._tail_rows :]
            ending += by_tail.view_as(ending)
        return cotangent


def _correlation(core: Float[Tensor, "r m s"], size: int) -> Float[Tensor, "sb wr"]:
    """Column (τ, α) holds core[α, t + k, s] over (s, k), zero outside."""
    rank, length, following = core.shape
    padded = core.new_zeros(following, rank, length + 2 * size - 2)
    padded[..., size - 1 : size - 1 + length] = core.permute(2, 0, 1)
    windows = padded.unfold(2, size, 1)  # s, α, τ, k
    return windows.permute(0, 3, 2, 1).reshape(following * size, -1)


def _tail_product(core: Float[Tensor, "r m s"], count: int, tail: int) -> Float[Tensor, "se ar"]:
    """The part of `count` rows that comes from the tail at their end, against the core."""
    rank, length, following = core.shape
    rows = core.new_zeros(following, count, length, count, rank)
    rows.diagonal(dim1=1, dim2=3).copy_(
        core.permute(2, 1, 0).unsqueeze(-1).expand(-1, -1, -1, count)
    )
    return rows.flatten(1, 2)[:, count * length - tail :].flatten(2).flatten(0, 1)
