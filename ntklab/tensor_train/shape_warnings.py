"""Warnings about a shape, in whole sentences: collapsed width, large primes, idle ranks."""

from itertools import count
from math import prod

from ntklab.tensor_train.factoring import prime_factors
from ntklab.tensor_train.gauge import is_separable
from ntklab.tensor_train.shape import TTShape, attainable_ranks


def collapse_warnings(shape: TTShape, width: int) -> tuple[str, ...]:
    """Whether the width of a generated head is lost across a bond of rank 1 (theory P2).

    If w = u ⊗ g and the size q of g divides M, W1 has only M/q distinct columns up to factors:
    f = s Φ U V S for linear σ, and the width enters through the C × C matrix S alone.

    Args:
        shape: the train of [vec W1; vec W2].
        width: M.

    Returns:
        One sentence, or none.

    Example:
        >>> shape = TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 1, 1))
        >>> print(collapse_warnings(shape, 1024)[0].split(",")[0])
        width 1024 acts as 64: bond 3 has rank 1 and the out-dims after it
        >>> collapse_warnings(TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 2, 1)), 1024)
        ()
    """
    for k in range(1, shape.length):
        block = prod(shape.out_dims[k:])
        if shape.bond_ranks[k] == 1 and block > 1 and width % block == 0:
            return (
                f"width {width} acts as {width // block}: bond {k} has rank 1 and the out-dims "
                f"after it, of product {block}, divide the width; with identity or ReLU the width "
                f"enters through C × C matrices only (width {2 * width} with {2 * block} there is "
                f"as a rule the same function class); it can matter only with r_{k} of 2 or more, "
                f"or with a product that does not divide {width}.",
            )
    return ()


def prime_warnings(
    shape: TTShape, *, rows: int | None = None, width: int | None = None
) -> tuple[str, ...]:
    """Primes of D beyond twice the balanced mode D^(1/K): whichever core has one dominates.

    Args:
        shape: the train.
        rows: d + C for a head, if it has a width to choose.
        width: M for a head; the sentence then says whether another width helps, and which.

    Returns:
        One sentence a prime, the largest first.

    Example:
        >>> shape = TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 1, 1))
        >>> print(prime_warnings(shape, rows=514, width=1024)[0].split(": ")[1])
        balanced modes would be near 27, but 257 divides d + C = 514 at every width.
    """
    warnings = []
    balanced = f"{shape.out_size ** (1 / shape.length):.0f}"
    for prime in sorted(set(prime_factors(shape.out_size)), reverse=True):
        if prime**shape.length <= 2**shape.length * shape.out_size:
            break
        core = next(core for core in shape.core_shapes if core[2] % prime == 0)
        sentence = (
            f"the prime {prime} leaves one core {prod(core)} of {shape.parameters} parameters: "
            f"balanced modes would be near {balanced}"
        )
        if rows is not None and width is not None and rows % prime != 0:
            sentence += f"; width {_smooth_width(rows, width, shape.length)} avoids it"
        elif rows is not None:
            sentence += f", but {prime} divides d + C = {rows} at every width"
        warnings.append(sentence + ".")
    return tuple(warnings)


def idle_rank_warnings(shape: TTShape) -> tuple[str, ...]:
    """Ranks larger than `useful_ranks`: parameters that add no function.

    Args:
        shape: the train.

    Returns:
        One sentence a bond.

    Example:
        >>> print(idle_rank_warnings(TTShape.plain((4, 8), (1, 9, 1)))[0].split(":")[0])
        r_1 = 9 exceeds the 4 that the modes around it can use
    """
    return tuple(
        f"r_{k} = {rank} exceeds the {most} that the modes around it can use: the rest adds "
        f"parameters and no function, so {most} is enough."
        for k, (rank, most) in enumerate(zip(shape.ranks, useful_ranks(shape), strict=True))
        if rank > most
    )


def useful_ranks(shape: TTShape) -> tuple[int, ...]:
    """The smallest ranks known to generate the same set of weights as the given ones.

    A rank is idle beyond r_{k-1} n_k m_k or n_{k+1} m_{k+1} r_{k+1}, and, for a separable latent,
    as soon as r_k s_k exceeds what the out-dims alone can hold.

    Args:
        shape: the train.

    Returns:
        r_0..r_K, none above `shape.ranks`.

    Example:
        The second factor of the released TT-LoRA has rank 2, but 10 × 2 modes and a 4 × 5 latent
        need only 1:

        >>> useful_ranks(TTShape((4, 5), (10, 2), (1, 2, 1)))
        (1, 1, 1)
    """
    modes = [n * m for n, m in zip(shape.in_dims, shape.out_dims, strict=True)]
    useful = attainable_ranks(shape.ranks, modes)
    if not is_separable(shape):
        return useful
    own = TTShape(shape.in_dims, shape.out_dims, useful)
    needed = [
        -(-bond // s) for bond, s in zip(own.bond_ranks[1:], (*own.schmidt_ranks, 1), strict=True)
    ]
    return (1, *map(min, useful[1:], needed))


def _smooth_width(rows: int, width: int, length: int) -> int:
    """The width nearest to M, smaller first, whose primes are no larger than balanced modes.

    Powers of 2 qualify, so the search ends.
    """
    return next(
        near
        for offset in count(1)
        for near in (width - offset, width + offset)
        if near > 0 and max(prime_factors(near), default=1) ** length <= rows * near
    )
