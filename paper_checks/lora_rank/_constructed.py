"""Landscapes whose spurious minima are known: small integers, so that they can be proofs.

All have λ = 1 and m = n = r + 1. With M = diag(2, −1, …, −1) and u = v = [0; I_r] the point is
stationary: Mv = −u and Mᵀu = −v. The first coordinate has the singular value 2 > λ, so S has the
eigenvalue −1 there and a larger rank would descend. Seen by r antisymmetric features, a step
of u and v along that coordinate costs more than it gains: the point is of second order.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ntklab.spectra.rational import characteristic_polynomial, count_below
from paper_checks.lora_rank._landscape import Array, Landscape, squared


def antisymmetric_features(rank: int) -> list[Array]:
    """E₀ᵢ − Eᵢ₀ for i = 1..r, each (r + 1, r + 1): zero on uvᵀ, felt by steps out of it."""
    features = []
    for i in range(1, rank + 1):
        G = np.zeros((rank + 1, rank + 1))
        G[0, i], G[i, 0] = 1.0, -1.0
        features.append(G)
    return features


def pinning_features(rank: int) -> list[Array]:
    """r(r+1)/2 − 1 features that see every symmetric change of uvᵀ that keeps its trace.

    Without them uvᵀ can become singular along a valley of equal loss; any small P tilts the valley.
    """
    features = []
    for i in range(1, rank + 1):
        for j in range(i, rank + 1):
            if i == j == rank:
                continue  # the trace is seen by M itself
            G = np.zeros((rank + 1, rank + 1))
            G[i, j] = G[j, i] = 1.0
            features.append(G)
    return features


def trapped(rank: int, *, pinned: bool = False) -> tuple[Landscape, Array]:
    """A landscape with a spurious point of second order at rank r, and that point.

    Args:
        rank: r.
        pinned: whether the point is to survive small perturbations P.

    Returns:
        The landscape with q = r + 1 features, or q = r(r+3)/2 if pinned, and Q = [u; v] of shape
        (2r + 2, r).

    Example:
        >>> from paper_checks.lora_rank._landscape import examine
        >>> landscape, Q = trapped(3)
        >>> len(landscape.features), examine(landscape, Q).is_spurious
        (4, True)
    """
    factor = np.vstack([np.zeros((1, rank)), np.eye(rank)])
    Q = np.vstack([factor, factor])
    M = np.diag([2.0] + [-1.0] * rank)
    features = antisymmetric_features(rank)
    if pinned:
        features += pinning_features(rank)
    features.append(M)
    G = np.stack(features)
    slope = np.zeros(len(G))
    slope[-1] = 1.0  # ∂ℓ/∂a at Q: M alone
    targets = np.einsum("qmn,mr,nr->q", G, factor, factor) - slope
    return Landscape(G, squared(targets), decay=1.0), Q


def padded(landscape: Landscape, Q: Array, size: int) -> tuple[Landscape, Array]:
    """The same problem in matrices of `size` × `size`: features see only the old corner.

    The rank, K·N and the loss stay; r(m + n) − r² grows without limit.
    """
    q, m, n = landscape.sizes
    G = np.zeros((q, size, size))
    G[:, :m, :n] = landscape.features
    u, v = landscape.split(Q)
    wide = np.zeros((2 * size, Q.shape[1]))
    wide[:m], wide[size : size + n] = u, v
    return Landscape(G, landscape.loss, landscape.decay), wide


def exactly_second_order(landscape: Landscape, Q: Array) -> bool:
    """∇F(Q) = 0 and ∇²F(Q) ⪰ 0 in exact arithmetic, for entries that are small integers.

    Every float of such a landscape is an integer below 2⁵³ and so is computed without rounding;
    the signs of the Hessian's eigenvalues are counted from its characteristic polynomial.
    """
    hessian = landscape.hessian(Q)
    whole = all(np.array_equal(part, np.rint(part)) for part in (hessian, landscape.slack(Q)))
    if not whole or np.any(landscape.gradient(Q) != 0):
        return False
    return _negative_eigenvalues(hessian.tolist()) == 0


def exactly_indefinite(landscape: Landscape, Q: Array) -> bool:
    """S has a negative eigenvalue, in exact arithmetic."""
    return _negative_eigenvalues(landscape.slack(Q).tolist()) > 0


def _negative_eigenvalues(matrix: Sequence[Sequence[float]]) -> int:
    exact = [[Fraction(entry) for entry in row] for row in matrix]
    return count_below(characteristic_polynomial(exact), 0)
