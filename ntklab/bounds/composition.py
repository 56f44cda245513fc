"""Eigenvalues of a kernel from those of its two factors, K = (G T)(G T)ᵀ (eq 26 and its repair).

The product λ_min(T Tᵀ) λ_min(G Gᵀ) is a true lower bound (Ostrowski), and zero as soon as T has
more rows than its rank, as every generator with D > P has. On the range of T there is a bound that
is not, and it is two-sided.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.errors import InputError


@dataclass(frozen=True)
class CompositionBounds:
    """What the factors say of λ_min(K), beside λ_min(K) itself.

    Attributes:
        smallest: λ_min(K) = σ_NC(G T)², 0 where the shape forces it.
        product: λ_min(T Tᵀ) λ_min(G Gᵀ), eq 26.
        lower: σ⁺_min(T)² σ_min(G Q)², Q an orthonormal basis of the range of T.
        upper: σ_max(T)² σ_min(G Q)².
        largest: λ_max(K), the scale on which rounding is judged.
        rank: of T.
        weights: D, the rows of T.
        outputs: N·C, the rows of G.
    """

    smallest: float
    product: float
    lower: float
    upper: float
    largest: float
    rank: int
    weights: int
    outputs: int

    @property
    def holds(self) -> bool:
        """product ≤ λ_min(K) and lower ≤ λ_min(K) ≤ upper, up to rounding on λ_max's scale."""
        slack = 1e-13 * self.largest
        below = max(self.product, self.lower) <= self.smallest * (1 + 1e-8) + slack
        return below and self.smallest <= self.upper * (1 + 1e-8) + slack


def composition_bounds(G: Float[Tensor, "NC D"], T: Float[Tensor, "D P"]) -> CompositionBounds:
    """Eq 26 and its repair for given factors.

    Proof of the repair: with T = Q Σ Vᵀ, K = G Q Σ² Qᵀ Gᵀ lies between σ⁺_min(T)² G Q Qᵀ Gᵀ and
    σ_max(T)² G Q Qᵀ Gᵀ. It is positive exactly where G Q has full row rank, which needs
    N·C ≤ rank T.

    Args:
        G: ∂f/∂w, shape (N·C, D), e.g. `ntklab.jacobian.weight_space.weight_jacobian`.
        T: ∂w/∂θ, shape (D, P), e.g. `Adapter.tangent_map`.

    Returns:
        All bounds beside λ_min(K), float64.

    Raises:
        InputError: shapes that do not multiply, or T = 0.

    Cost: one thin SVD of T and three of N·C rows; dense, for small problems.

    Example:
        The generator w = (θ, θ) has rank 1 in two weights: eq 26 says 0, the repair 1 ≤ 1 ≤ 1.

        >>> found = composition_bounds(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0], [1.0]]))
        >>> [round(v, 12) for v in (found.product, found.lower, found.smallest, found.upper)]
        [0.0, 1.0, 1.0, 1.0]
    """
    if G.ndim != 2 or T.ndim != 2 or G.shape[1] != T.shape[0]:
        raise InputError(
            f"factors of shapes {tuple(G.shape)} and {tuple(T.shape)} do not multiply: G has one "
            "column and T one row a weight."
        )
    G, T = G.double(), T.double()
    Q, values, _ = torch.linalg.svd(T, full_matrices=False)
    if not float(values[0]) > 0:
        raise InputError("T is zero or not finite: there is no range to bound on.")
    rank = int((values > max(T.shape) * torch.finfo(torch.float64).eps * values[0]).sum())
    outputs, weights = G.shape
    whole = torch.linalg.svdvals(G @ T)
    inner = _last(torch.linalg.svdvals(G @ Q[:, :rank]), outputs)
    tangent = float(values[rank - 1]) if rank == weights else 0.0
    return CompositionBounds(
        smallest=_last(whole, outputs),
        product=tangent**2 * _last(torch.linalg.svdvals(G), outputs),
        lower=float(values[rank - 1]) ** 2 * inner,
        upper=float(values[0]) ** 2 * inner,
        largest=float(whole[0]) ** 2,
        rank=rank,
        weights=weights,
        outputs=outputs,
    )


def _last(singular: Tensor, rows: int) -> float:
    """The squared smallest of `rows` singular values; missing ones are zero."""
    return float(singular[-1]) ** 2 if len(singular) == rows else 0.0
