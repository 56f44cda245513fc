"""A rank-one cotangent met by the last core of a train, without forming the outer product.

A hidden layer's cotangent by W1 is φ ⊗ y, flat: d blocks of b numbers, block i being φ_i y. The
train's last core cuts the same numbers into rows of m. Where block i starts t places after row a
does, it contributes φ_i y[k − t] to place k of that row. So over all rows the core sees a
convolution of y, and what goes on to the cores on its left is a correlation of y with the core:
d·b numbers a cotangent are replaced by the m + b − 1 shifts that occur.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

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
        block: i of every meeting, by row.
        row: a of every meeting, ascending.
        shift: τ of every meeting.
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
        row = first[block] + np.arange(len(block)) - np.repeat(counts.cumsum() - counts, counts)
        return cls(blocks, size, length, block, row, block * size - row * length + size - 1)

    @property
    def window(self) -> int:
        """m + b − 1, how many shifts there can be."""
        return self.length + self.size - 1

    @property
    def rows(self) -> int:
        """Rows that some block meets."""
        return int(self.row[-1]) + 1

    @cached_property
    def turns(self) -> list[tuple[Int[Tensor, "a"], Int[Tensor, "a"]]]:
        """Block and shift of the first, second, … meeting of every row.

        A row that has no more gets shift m + b − 1, which stands for zero.
        """
        place = np.arange(len(self.row)) - np.searchsorted(self.row, self.row)
        found = []
        for turn in range(int(place.max()) + 1):
            block = np.zeros(self.rows, dtype=np.int64)
            shift = np.full(self.rows, self.window, dtype=np.int64)
            here = place == turn
            block[self.row[here]], shift[self.row[here]] = self.block[here], self.shift[here]
            found.append((torch.from_numpy(block), torch.from_numpy(shift)))
        return found

    def gather(self, left: Float[Tensor, "A r"]) -> Tensor:
        """The sparse matrix (r (m + b − 1), d) that sums left[a] φ_i over the meetings of a shift.

        Entry (α, τ), i is the sum of left[a, α] over the rows a that block i meets at τ.
        """
        rank = left.shape[1]
        block, row, shift = map(torch.from_numpy, (self.block, self.row, self.shift))
        alpha = torch.arange(rank).unsqueeze(1)
        places = (alpha * self.window + shift).flatten()
        entries = torch.stack([places, block.expand(rank, -1).flatten()])
        return torch.sparse_coo_tensor(
            entries.to(left.device),
            left.detach()[row.to(left.device)].T.flatten(),
            (rank * self.window, self.blocks),
            check_invariants=False,
        ).coalesce()


def pays(left_entries: int, blocks: int, size: int, length: int, like: Tensor) -> bool:
    """Whether the shifts cost less than outer products, on this device in this dtype.

    The convolution has one filter a sample, which oneDNN does at the rate of its registers, in
    float32 alone. Below d shifts it has fewer multiply-adds than the sweep, and the matrix of
    shifted cores is no larger than the train's left part; tiny layers are not worth the calls.
    """
    fast = (
        like.device.type == "cpu"
        and like.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
    )
    return fast and length + size - 1 <= blocks and left_entries >= _WORTHWHILE


_WORTHWHILE = 1 << 12  # entries of one cotangent


def core_gradient(
    seen: Float[Tensor, "r t n"], filters: Float[Tensor, "b x n"], length: int
) -> Iterator[Float[Tensor, "r m n"]]:
    """Σ_τ seen[α, τ] y[k − t]: the gradient by the core, one filter index x after the other.

    Args:
        seen: Σ left[a, α] φ_i over the meetings of every shift, samples last.
        filters: y, b numbers for every x and sample.
        length: m.

    Cost: r m b multiply-adds a filter.
    """
    rank, window, samples = seen.shape
    size = window - length + 1
    # Samples are channels that do not mix, and lie last in memory as channels-last has them.
    image = seen.reshape(rank, 1, window, samples).permute(0, 3, 1, 2)
    for x in range(filters.shape[1]):
        kernel = filters[:, x].flip(0).T.reshape(samples, 1, 1, size)
        found = torch.nn.functional.conv2d(image, kernel, groups=samples)
        yield found.permute(0, 2, 3, 1).reshape(rank, length, samples)


def shifted_core(core: Float[Tensor, "r m s"], size: int) -> Float[Tensor, "t r bs"]:
    """Row τ holds core[:, t + j, :] over j < b, zero outside; one more row is zero throughout."""
    rank, length, following = core.shape
    padded = core.new_zeros(rank, length + 2 * (size - 1), following)
    padded[:, size - 1 : size - 1 + length] = core
    windows = padded.unfold(1, size, 1).permute(1, 0, 3, 2)  # τ, α, j, s
    last = core.new_zeros(1, rank, size, following)
    return torch.cat([windows, last]).reshape(-1, rank, size * following)


def retreat(
    shifts: Shifts,
    shifted: Float[Tensor, "t r bs"],
    features: Float[Tensor, "d n"],
    folded: Float[Tensor, "b s C n"],
) -> Float[Tensor, "A r Cn"]:
    """Σ_i φ_i (core correlated with y at the shift of block i in row a), for all rows that meet.

    Cost: (m + b) r b s multiply-adds a cotangent, and r for each of the d + d b/m meetings.
    """
    size, following, outputs, samples = folded.shape
    rank = shifted.shape[1]
    correlated = shifted.reshape(-1, size * following) @ folded.reshape(size * following, -1)
    by_shift = correlated.reshape(-1, rank * outputs, samples)
    found = None
    for block, shift in shifts.turns:
        weights = features[block].unsqueeze(1)
        term = by_shift[shift]
        found = term.mul_(weights) if found is None else found.addcmul_(term, weights)
    assert found is not None
    return found.reshape(-1, rank, outputs * samples)
