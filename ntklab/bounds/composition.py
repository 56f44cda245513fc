"""Eigenvalues of a kernel from those of its two factors, K = (G T)(G T)ᵀ (eq 26 and its repair).

The product λ_min(T Tᵀ) λ_min(G Gᵀ) is a true lower bound (Ostrowski), and zero as soon as T has
more rows than its rank, as every generator with D > P has. On the range of T there is a bound that
is not, and it is two-sided.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.errors import InputError


@dataclass(frozen=True)
class CompositionBounds:
    """Bounds on λ_min(K) from its factors, beside λ_min(K) itself.

    Attributes:
        smallest: λ_min(K) = σ_NC(G T)², exactly 0 where the shape forces it or it is rounding.
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
    def product_holds(self) -> bool:
        """product ≤ λ_min(K), up to rounding on λ_max's scale."""
        return self.product <= self._roof

    @property
    def repair_holds(self) -> bool:
        """lower ≤ λ_min(K) ≤ upper, likewise."""
        slack = 1e-13 * self.largest
        return self.lower <= self._roof and self.smallest <= self.upper * (1 + 1e-8) + slack

    @property
    def _roof(self) -> float:
        return self.smallest * (1 + 1e-8) + 1e-13 * self.largest


@takes_arrays
def composition_bounds(G: Float[Tensor, "NC D"], T: Float[Tensor, "D P"]) -> CompositionBounds:
    """Eq 26 and its repair for given factors.

    Proof of the repair: with T = Q Σ Vᵀ, K = G Q Σ² Qᵀ Gᵀ lies between σ⁺_min(T)² G Q Qᵀ Gᵀ and
    σ_max(T)² G Q Qᵀ Gᵀ. It is positive exactly where G Q has full row rank, which needs
    N·C ≤ rank T.

    Args:
        G: ∂f/∂w, shape (N·C, D), e.g. `ntklab.jacobians.weight_space.weight_jacobian`.
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
    inner = _last(G @ Q[:, :rank])
    tangent = float(values[rank - 1]) if rank == weights else 0.0
    return CompositionBounds(
        smallest=_last(G @ T),
        product=tangent**2 * _last(G),
        lower=float(values[rank - 1]) ** 2 * inner,
        upper=float(values[0]) ** 2 * inner,
        largest=float(torch.linalg.matrix_norm(G @ T, ord=2)) ** 2,
        rank=rank,
        weights=weights,
        outputs=outputs,
    )


def _last(matrix: Tensor) -> float:
    """The squared smallest singular value, one a row; zero where it is rounding or missing."""
    values = torch.linalg.svdvals(matrix)
    noise = max(matrix.shape) * torch.finfo(torch.float64).eps * float(values[0])
    smallest = float(values[-1])
    return smallest**2 if len(values) == len(matrix) and smallest > noise else 0.0
