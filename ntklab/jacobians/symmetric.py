"""A matrix times its own transpose, from the tiles of one triangle.

BLAS may sum entry (i, j) in another order than entry (j, i), so that a product F Fᵀ is symmetric to
the last bit on some processors only. Here one triangle is computed and the other is its copy.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.parallel import alone, run_pieces

# A smaller product runs no faster than what it would save.
_LEAST = 128
# A tile that begins here begins with a cache line, where the whole matrix does.
_ALIGNED = 16
# Multiply-adds of a whole product below which dividing it into tiles costs more than it saves.
_SMALL = 1 << 30
# Rows of a matrix below which its two triangles cost less to average than to copy.
_AVERAGED = 128
# Rows copied at a time when a whole matrix is mirrored: a block of them and its copy stay in cache.
_MIRRORED = 256


def gram_matrix(factor: Float[Tensor, "*C n P"]) -> Float[Tensor, "*C n n"]:
    """F Fᵀ as a new matrix, equal to its transpose bit for bit; no gradient is recorded.

    Cost: as `symmetric_product`; of a small factor the whole product, n² P multiply-adds.

    Example:
        >>> gram_matrix(torch.tensor([[1.0, 0.0], [1.0, 1.0]])).tolist()
        [[1.0, 1.0], [1.0, 2.0]]
    """
    return gram_matrices(factor)[0]


def gram_matrices(*factors: Float[Tensor, "*C n P"]) -> list[Float[Tensor, "*C n n"]]:
    """`gram_matrix` of several factors.

    Small products are mirrored after the last of them: between two products torch's threads would
    fall asleep, and waking them takes longer than a small product.

    Example:
        >>> gram_matrices(torch.ones(2, 1), torch.eye(2))[1].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    products: list[Tensor] = []
    ways = []
    for factor in map(Tensor.detach, factors):
        *leading, length, width = factor.shape
        way = "tiles" if length**2 * width >= _SMALL else "mirror"
        if way == "tiles":
            products.append(factor.new_empty((*factor.shape[:-1], length)))
            symmetric_product(factor, out=products[-1])
        elif leading or length > _AVERAGED:
            products.append(factor @ factor.mT)
        else:  # half of it, so that the sum with its transpose does not overflow
            way, none = "average", factor.new_empty(())
            products.append(torch.addmm(none, factor, factor.mT, beta=0, alpha=0.5))
        ways.append(way)
    for k, way in enumerate(ways):
        if way == "mirror":
            mirror(products[k])
        elif way == "average":
            products[k] = products[k] + products[k].mT
    return products


def mirror(matrix: Float[Tensor, "*C n n"]) -> Float[Tensor, "*C n n"]:
    """Overwrite the upper triangle by the lower one, in place, and return the matrix.

    For products that are symmetric in exact arithmetic. Either triangle carries the same bound on
    its rounding, so the mirrored matrix is as accurate as the product was, entry by entry.

    Cost: n²/2 copies; two blocks of 256 rows and columns besides.

    Example:
        >>> mirror(torch.tensor([[1.0, 9.0], [2.0, 3.0]])).tolist()
        [[1.0, 2.0], [2.0, 3.0]]
    """
    length = matrix.shape[-1]
    if length <= _MIRRORED:
        below = matrix.tril(-1)
        return matrix.tril_().add_(below.mT)
    for start in range(0, length, _MIRRORED):
        stop = min(start + _MIRRORED, length)
        block = matrix[..., start:stop, start:stop]
        below = block.tril(-1)
        block.tril_().add_(below.mT)
        matrix[..., start:stop, stop:] = matrix[..., stop:, start:stop].mT
    return matrix


def symmetric_product(
    factor: Float[Tensor, "*C n P"], *, out: Float[Tensor, "*C n n"], least: int = _LEAST
) -> None:
    """F Fᵀ into `out`, which is then its own transpose bit for bit.

    On a CPU tiles are multiplied side by side, each by one thread (`ntklab.parallel`).

    Args:
        factor: F, or a stack of them.
        out: must not overlap F.
        least: rows of a tile on the diagonal, below which it is no more divided.

    Cost: n² P / 2 multiply-adds and least/n of that besides.

    Example:
        >>> factor = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
        >>> product = torch.empty(2, 2)
        >>> symmetric_product(factor, out=product)
        >>> product.tolist()
        [[1.0, 1.0], [1.0, 2.0]]
    """
    length, factor = factor.shape[-2], factor.detach()

    def multiply(tile: _Tile) -> None:
        here, there = slice(*tile.rows), slice(*tile.columns)
        place = out[..., here, there]
        torch.matmul(factor[..., here, :], factor[..., there, :].mT, out=place)
        if tile.rows == tile.columns:
            mirror(place)
        else:
            out[..., there, here] = place.mT

    with alone() as available:
        threads = available if factor.device.type == "cpu" else 1
        # For two threads the largest tile, half of the work, stays whole.
        side = max(least, -(-length // threads) + _ALIGNED)
        run_pieces(threads, sorted(_tiles(0, length, least, side), reverse=True), multiply)


class _Tile(NamedTuple):
    """Part of a symmetric matrix, on its diagonal or left of it."""

    entries: int
    rows: tuple[int, int]
    columns: tuple[int, int]


def _tiles(start: int, stop: int, least: int, side: int) -> list[_Tile]:
    """Tiles of the lower triangle of rows start..stop, none longer than `side`."""
    if stop - start <= least:
        return [_Tile((stop - start) ** 2, (start, stop), (start, stop))]
    (_, half), _ = _parts(start, stop, 2)
    tiles = [*_tiles(start, half, least, side), *_tiles(half, stop, least, side)]
    for rows in _parts(half, stop, -(-(stop - half) // side)):
        for columns in _parts(start, half, -(-(half - start) // side)):
            entries = (rows[1] - rows[0]) * (columns[1] - columns[0])
            tiles.append(_Tile(entries, rows, columns))
    return tiles


def _parts(start: int, stop: int, count: int) -> list[tuple[int, int]]:
    step = -(-(stop - start) // count)
    if step > _ALIGNED:
        step += -step % _ALIGNED
    return [(first, min(first + step, stop)) for first in range(start, stop, step)]
