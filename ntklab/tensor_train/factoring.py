"""Splitting a number of weights into modes: integers only, no trains yet."""

from collections.abc import Iterator
from math import comb, prod

from ntklab.errors import InputError


def prime_factors(number: int) -> tuple[int, ...]:
    """The primes of a whole number of at least 1, increasing, with multiplicity.

    Raises:
        InputError: a number below 1.

    Cost: trial division, about the square root of the number.

    Example:
        >>> prime_factors(51025)
        (5, 5, 13, 157)
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InputError(f"{number} must be a whole number of at least 1.")
    primes, divisor = [], 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            primes.append(divisor)
            number //= divisor
        divisor += 1
    return (*primes, number) if number > 1 else tuple(primes)


def balanced_modes(size: int, length: int) -> tuple[int, ...]:
    """Factor a size into modes of similar size.

    The primes are dealt from the largest down, each to the mode whose product is smallest so far.
    Modes are ordered by their largest prime, and larger first among equals, so that a prime which
    cannot be balanced stands last and the modes that can be regrouped stand before it. With
    fewer primes than modes, the first modes are 1.

    Args:
        size: the product of the modes.
        length: K, how many modes.

    Raises:
        InputError: a size or length below 1.

    Example:
        >>> balanced_modes(51025, 4), balanced_modes(514 * 64, 3), balanced_modes(6, 3)
        ((5, 5, 13, 157), (16, 8, 257), (1, 2, 3))
    """
    if length < 1:
        raise InputError(f"length {length} must be at least 1: a train needs a core.")
    modes = [1] * length
    for prime in reversed(prime_factors(size)):
        modes[modes.index(min(modes))] *= prime
    return tuple(sorted(modes, key=lambda mode: (max(prime_factors(mode), default=1), -mode)))


def head_modes(rows: int, width: int, length: int) -> tuple[int, ...]:
    """Factor the D = rows · width weights of [vec W1; vec W2] into K modes.

    1. Last mode: the largest divisor of M that is at most D^(1/K) and at most sqrt(M). It cuts
       every row of W1 into whole blocks, no fewer than there are entries in a block. It is taken
       if it is within a factor 2 of D^(1/K).
    2. The other modes are `balanced_modes` of D divided by it. If no divisor of M is that large,
       alignment would cost the balance: all K modes are then `balanced_modes` of D.

    The rule looks at integers only, and a last mode that divides M collapses the effective width
    when r_{K−1} = 1: `plan` warns, and `candidates` orders shapes by merit instead. That a mode
    may be off by a factor 2, and the order of the modes, are conventions, chosen among equally
    plain ones because the shapes in print come out.

    Args:
        rows: d + C.
        width: M.
        length: K.

    Example:
        The three widths of the TensorGuide experiments, and GPT-2's head at widths 1 and 4:

        >>> [head_modes(514, width, 4) for width in (1024, 2048, 4096)]
        [(16, 8, 257, 16), (16, 8, 257, 32), (16, 16, 257, 32)]
        >>> [head_modes(51025, width, 4) for width in (1, 4)]
        [(5, 5, 13, 157), (10, 10, 13, 157)]
    """
    size = rows * width
    last = max(q for q in divisors(width) if q**length <= size and q * q <= width)
    if length > 1 and (2 * last) ** length >= size:
        return (*balanced_modes(size // last, length - 1), last)
    return balanced_modes(size, length)


def divisors(number: int) -> list[int]:
    """All divisors, increasing.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    divisors = {1}
    for prime in prime_factors(number):
        divisors |= {prime * divisor for divisor in divisors}
    return sorted(divisors)


def ordered_factorings(size: int, length: int) -> Iterator[tuple[int, ...]]:
    """Every way to write a size as an ordered product of K factors of at least 1.

    >>> list(ordered_factorings(6, 2))
    [(1, 6), (2, 3), (3, 2), (6, 1)]
    """
    if length == 1:
        yield (size,)
        return
    for first in divisors(size):
        for rest in ordered_factorings(size // first, length - 1):
            yield (first, *rest)


def count_ordered_factorings(size: int, length: int) -> int:
    """How many `ordered_factorings` there are: Π over primes of C(exponent + K − 1, K − 1).

    >>> count_ordered_factorings(6, 2), count_ordered_factorings(514 * 1024, 4)
    (4, 1456)
    """
    primes = prime_factors(size)
    return prod(comb(primes.count(p) + length - 1, length - 1) for p in set(primes))
