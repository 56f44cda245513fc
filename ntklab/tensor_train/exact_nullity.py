"""The nullity of ∂w/∂θ without rounding: elimination in a finite field.

A rank computed in floating point depends on where a tolerance is put. Here cores and latent are
random integers modulo the prime p = 2⁶¹ − 1 and the rank is exact; by Schwartz–Zippel it equals
the rank over ℚ at a generic point except with probability below K·P/p, about 10⁻¹⁵.
"""

import numpy as np
from numpy.typing import NDArray

from ntklab.tensor_train.shape import TTShape

PRIME = (1 << 61) - 1
Residues = NDArray[np.uint64]


def exact_nullity(shape: TTShape, *, seed: int = 0) -> int:
    """dim ker ∂w/∂θ at generic cores and a generic latent, counted exactly (theory P1).

    Output modes are first cut to m'_k = min(m_k, q_k) with q_k = r_{k-1} n_k r_k. Nothing is lost:
    an invertible mixing of output mode k commutes with the train, and q_k generic slices of core k
    span all r_{k-1} × n_k × r_k arrays, so the other m_k − q_k slices may be mixed to zero. The
    rows of such a slice see its own variations and no others, so each of them adds the kernel of
    core k's environment, an exact rank as well:
    nullity(m) = nullity(m') + Σ_k (m_k − m'_k) (q_k − rank E_k).

    Args:
        shape: the train; `TTShape.plain` for one without latent.
        seed: of the random residues.

    Returns:
        The number of independent null directions, in whole directions.

    Cost: elimination on Π m'_k rows and Σ q_k m'_k columns, whatever the size of the m_k.

    Example:
        The released TensorGuide heads have 21 = 2² + 4² + 1² null directions whatever their
        width, although there are 526336 rows at width 1024:

        >>> exact_nullity(TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 1, 1)))
        21
    """
    slices = [r * n * s for r, n, _, s in shape.core_shapes]
    least_dims = tuple(min(m, q) for m, q in zip(shape.out_dims, slices, strict=True))
    reduced = TTShape(shape.in_dims, least_dims, shape.ranks)
    rng = np.random.default_rng(seed)
    cores = [_random(core, rng) for core in reduced.core_shapes]
    latent = _random(reduced.in_dims, rng)
    environments = [_environment(cores, latent, k) for k in range(reduced.length)]
    tangent = np.concatenate(
        [_block(around, m) for around, m in zip(environments, least_dims, strict=True)], axis=1
    )
    nullity = reduced.parameters - modular_rank(tangent)
    for around, q, full, m in zip(environments, slices, shape.out_dims, least_dims, strict=True):
        if full > m:
            nullity += (full - m) * (q - modular_rank(around.transpose(0, 2, 1).reshape(-1, q)))
    return nullity


def modular_rank(matrix: Residues) -> int:
    """Rank over the integers modulo 2⁶¹ − 1, by Gaussian elimination.

    Args:
        matrix: uint64 residues below 2⁶¹ − 1, shape (rows, columns); not changed.

    Returns:
        The rank.

    Cost: about rows · columns · rank modular products, vectorized.

    Example:
        >>> modular_rank(np.array([[1, 2], [2, 4], [3, 7]], dtype=np.uint64))
        2
    """
    work = np.array(matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T)
    rank = 0
    for column in range(work.shape[1]):
        pivots = np.flatnonzero(work[rank:, column])
        if pivots.size == 0:
            continue
        rows = rank + pivots
        work[[rank, rows[0]]] = work[[rows[0], rank]]
        # Only rows with an entry here change; tangent maps are sparse, so most do not.
        rows = rank + 1 + np.flatnonzero(work[rank + 1 :, column])
        _clear(work, rank, rows, column)
        rank += 1
        if rank == work.shape[0]:
            break
    return rank


def _clear(work: Residues, pivot: int, rows: NDArray[np.intp], column: int) -> None:
    """Subtract multiples of the pivot row so that the given rows vanish in this column."""
    inverse = np.uint64(pow(int(work[pivot, column]), -1, PRIME))
    columns = column + np.flatnonzero(work[pivot, column:])
    factors = _multiply(work[rows, column], inverse)
    product = _multiply(factors[:, None], work[pivot, columns][None, :])
    grid = np.ix_(rows, columns)
    work[grid] = _reduce(work[grid] + (np.uint64(PRIME) - product))


def _environment(cores: list[Residues], latent: Residues, k: int) -> Residues:
    """E[l, (a, n, b), r] of core k modulo p: the latent contracted with every other core."""
    left = latent.reshape(1, 1, -1)
    for core in cores[:k]:
        r, n, m, s = core.shape
        joined = left.reshape(left.shape[0], r * n, -1)
        step = _matmul(core.reshape(r * n, m * s).T, joined)
        left = step.reshape(left.shape[0] * m, s, -1)
    rank, n, _, next_rank = cores[k].shape
    rows = left.shape[0]
    right = left.reshape(rows * rank * n, -1, 1)
    for core in reversed(cores[k + 1 :]):
        r, n_j, m, s = core.shape
        trailing = right.shape[2] // s
        joined = right.reshape(-1, n_j * s, trailing)
        step = _matmul(core.transpose(0, 2, 1, 3).reshape(r * m, n_j * s), joined)
        right = step.reshape(rows * rank * n, -1, r * m * trailing)
    return right.reshape(rows, rank * n * next_rank, -1)


def _block(around: Residues, m: int) -> Residues:
    """Columns of ∂w/∂G_k: T[(l, i, r), (q, j)] = E[l, q, r] δ_ij; column order is of no matter."""
    rows, q, trailing = around.shape
    block = np.zeros((rows, m, trailing, q, m), dtype=np.uint64)
    for i in range(m):
        block[:, i, :, :, i] = around.transpose(0, 2, 1)
    return block.reshape(rows * m * trailing, q * m)


def _matmul(matrix: Residues, stack: Residues) -> Residues:
    """matrix @ stack[b] modulo p for every b; the inner dimension is small, so it is the loop."""
    total = np.zeros((stack.shape[0], matrix.shape[0], stack.shape[2]), dtype=np.uint64)
    for j in range(matrix.shape[1]):
        term = _multiply(matrix[None, :, j, None], stack[:, None, j, :])
        total = _reduce(total + term)
    return total


def _multiply(a: Residues, b: Residues | np.uint64) -> Residues:
    """a·b modulo 2⁶¹ − 1 in 64-bit words: 31-bit halves, and 2⁶¹ ≡ 1 folds the carries back."""
    low, shift = np.uint64((1 << 31) - 1), np.uint64(31)
    a_high, a_low, b_high, b_low = a >> shift, a & low, b >> shift, b & low
    middle = a_high * b_low + a_low * b_high
    folded = (middle >> np.uint64(30)) + ((middle & np.uint64((1 << 30) - 1)) << shift)
    # At most 2⁶¹ + 2⁶¹ + 2³² + 2⁶² < 2⁶⁴, so nothing wraps.
    return _reduce(((a_high * b_high) << np.uint64(1)) + folded + a_low * b_low)


def _reduce(values: Residues) -> Residues:
    """Residues below p of any 64-bit words."""
    prime = np.uint64(PRIME)
    folded = (values & prime) + (values >> np.uint64(61))
    return np.where(folded >= prime, folded - prime, folded)


def _random(shape: tuple[int, ...], rng: np.random.Generator) -> Residues:
    return rng.integers(1, PRIME, size=shape, dtype=np.uint64)
