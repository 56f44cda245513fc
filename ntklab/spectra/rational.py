"""Eigenvalues without rounding: small kernels as fractions, for counterexamples that are proofs.

Floats are fractions, so a kernel formed from a Jacobian's floats by exact arithmetic is exact, and
it is the kernel of the model itself wherever the Jacobian is free of rounding (small integers).
A symmetric matrix has real eigenvalues only, and then Descartes' rule of signs counts those on
either side of a number exactly, from the characteristic polynomial.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import comb

from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.errors import InputError

Rational = list[list[Fraction]]

# Polynomials of this degree take a second; their coefficients grow with every step.
LARGEST = 40


@takes_arrays
def rational_gram(jacobian: Float[Tensor, "n P"]) -> Rational:
    """K = J Jᵀ of a matrix of floats, exactly.

    Args:
        jacobian: J, every entry taken as the fraction that it is.

    Raises:
        InputError: entries that are not finite, or more than `LARGEST` rows.

    Cost: n² P products of fractions.

    Example:
        >>> import torch
        >>> rational_gram(torch.tensor([[1.0, 0.5]]))
        [[Fraction(5, 4)]]
    """
    if jacobian.ndim != 2 or not bool(jacobian.isfinite().all()) or len(jacobian) > LARGEST:
        raise InputError(
            f"a Jacobian of shape {tuple(jacobian.shape)} cannot be taken as fractions: give "
            f"finite entries in at most {LARGEST} rows."
        )
    rows = [[Fraction(entry) for entry in row] for row in jacobian.double().tolist()]
    return [[sum((x * y for x, y in zip(a, b, strict=True)), Fraction()) for b in rows]
            for a in rows]  # fmt: skip


def characteristic_polynomial(kernel: Rational) -> list[Fraction]:
    """Coefficients of det(x I − K), from x^n down to 1 (Faddeev–LeVerrier).

    Example:
        >>> [int(c) for c in characteristic_polynomial([[2, 1], [1, 2]])]
        [1, -4, 3]
    """
    size = len(kernel)
    coefficients, M = [Fraction(1)], [[Fraction()] * size for _ in range(size)]
    for k in range(1, size + 1):
        for i in range(size):
            M[i][i] += coefficients[-1]
        M = [
            [sum((Fraction(row[m]) * M[m][j] for m in range(size)), Fraction())
             for j in range(size)]
            for row in kernel
        ]  # fmt: skip
        coefficients.append(-sum((M[i][i] for i in range(size)), Fraction()) / k)
    return coefficients


def count_below(polynomial: Sequence[Fraction], x: Fraction | int) -> int:
    """How many roots of a polynomial with only real roots are smaller than x, with multiplicity.

    p(x − y) has a root y > 0 for each; by Descartes their number is that of the sign changes.

    Example:
        >>> p = characteristic_polynomial([[2, 1], [1, 2]])  # roots 1 and 3
        >>> count_below(p, 1), count_below(p, 2), count_below(p, 4)
        (0, 1, 2)
    """
    signs = [c > 0 for c in _reflected_at(polynomial, Fraction(x)) if c != 0]
    return sum(a != b for a, b in pairwise(signs))


def least_eigenvalue(
    kernel: Rational, *, width: Fraction = Fraction(1, 10**6)
) -> tuple[Fraction, Fraction]:
    """A proven interval [low, high) of rational numbers that holds λ_min.

    Args:
        kernel: symmetric.
        width: of the interval, at most.

    Raises:
        InputError: a matrix that is not symmetric, or a width that is not positive.

    Example:
        >>> low, high = least_eigenvalue([[4, 4, 4], [4, 6, 4], [4, 4, 6]])
        >>> low <= 7 - 41**0.5 < high, high - low <= Fraction(1, 10**6)  # theory P8
        (True, True)
    """
    size = len(kernel)
    if width <= 0 or any(kernel[i][j] != kernel[j][i] for i in range(size) for j in range(i)):
        raise InputError(f"give a symmetric kernel and a positive width, not {width}.")
    polynomial = characteristic_polynomial(kernel)
    reach = 1 + max(sum((abs(entry) for entry in row), Fraction()) for row in kernel)  # Gershgorin
    low, high = -reach, reach
    while high - low > width:
        middle = (low + high) / 2
        if count_below(polynomial, middle):
            high = middle
        else:
            low = middle
    return low, high


def _reflected_at(polynomial: Sequence[Fraction], x: Fraction) -> list[Fraction]:
    """Coefficients of p(x − y) in y, from the constant up."""
    degree = len(polynomial) - 1
    coefficients = [Fraction()] * (degree + 1)
    for place, c in enumerate(polynomial):
        n = degree - place
        for k in range(n + 1):
            coefficients[k] += c * comb(n, k) * x ** (n - k) * (-1) ** k
    return coefficients
