"""Rounding-error bounds: what a computed eigenvalue or Gram matrix can differ from the exact one.

The floating-point model is IEEE 754 binary64, rounding to nearest, u = 2⁻⁵³, no overflow or
underflow, and matrix products by ordinary inner products in any order, fused or not (no Strassen).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

UNIT_ROUNDOFF = 2.0**-53


def gamma(n: int) -> float:
    """γ_n = n·u/(1 − n·u): the relative error of n roundings (Higham 2002, Lemma 3.1).

    An inner product of length n obeys |fl(xᵀy) − xᵀy| ≤ γ_n |x|ᵀ|y| in every order of summation.

    Example:
        >>> gamma(1000) / (1000 * 2.0**-53) - 1 < 1e-12
        True
    """
    return n * UNIT_ROUNDOFF / (1 - n * UNIT_ROUNDOFF)


def gamma_likely(n: int, confidence: float = 8.0) -> float:
    """γ̃_n = exp(ζ√n·u + n·u²/(1−u)) − 1 with ζ = `confidence`: what γ_n is in practice.

    If rounding errors are random with mean zero given the past, an inner product exceeds it with
    probability at most 2n·exp(−ζ²(1−u)²/2): about n·2.5e-14 at ζ = 8 (Higham and Mary 2019,
    Theorem 2.8). Never above γ_n.
    """
    u = UNIT_ROUNDOFF
    likely = math.expm1(confidence * math.sqrt(n) * u + n * u * u / (1 - u))
    return min(likely, gamma(n))


def norm_above(matrix: Tensor) -> float:
    """A number that is certainly not below the Frobenius norm of a float64 tensor."""
    scale = float(matrix.abs().max()) if matrix.numel() else 0.0
    if scale == 0.0:
        return 0.0
    # Dividing first keeps squares of tiny residuals from underflowing to zero.
    norm = float(torch.linalg.norm(matrix / scale)) * scale
    return norm * (1 + gamma(2 * matrix.numel() + 16))


def orthogonality_defect(vectors: Float[Tensor, "n k"]) -> float:
    """An upper bound on ‖VᵀV − I‖₂, the rounding of computing it included."""
    n, k = vectors.shape
    computed = vectors.T @ vectors - torch.eye(k, dtype=vectors.dtype)
    # ‖ |V|ᵀ|V| ‖₂ ≤ ‖V‖_F²; the subtraction of I adds one rounding of the result.
    return norm_above(computed) * (1 + gamma(4)) + gamma(n + 1) * norm_above(vectors) ** 2


class Perturbation(NamedTuple):
    """|λ_i − λ̂_i| ≤ relative·|λ̂_i| + absolute for every i."""

    relative: float
    absolute: float

    def at(self, values: Tensor) -> Tensor:
        """The bound at each computed eigenvalue."""
        return self.relative * values.abs() + self.absolute


def eigen_perturbation(
    K: Float[Tensor, "n n"], values: Float[Tensor, "n"], vectors: Float[Tensor, "n n"]
) -> Perturbation:
    """Bound the errors of a computed eigendecomposition, whatever algorithm made it.

    With E = K − VΛVᵀ and ω ≥ ‖VᵀV − I‖₂: Ostrowski gives λ_i(VΛVᵀ) ∈ [1 − ω, 1 + ω]·λ̂_i and Weyl
    |λ_i(K) − λ_i(VΛVᵀ)| ≤ ‖E‖₂. E is computed with one matrix product, whose own rounding is at
    most γ_{n+1} Σ|λ̂_i|·‖v_i‖² in norm (because |V||Λ||V|ᵀ = Σ|λ̂_i||v_i||v_i|ᵀ).

    Args:
        K: symmetric, float64.
        values: λ̂, in the order of the columns of `vectors`.
        vectors: V, need not be exactly orthonormal.

    Returns:
        The bound, a theorem about the floats in K. Cost: two products of n × n matrices.
    """
    defect = orthogonality_defect(vectors)
    residual = norm_above(K - (vectors * values) @ vectors.T) * (1 + gamma(4))
    rounding = gamma(K.shape[0] + 1) * float(values.abs().sum()) * (1 + defect)
    rounding *= 1 + gamma(K.shape[0] + 16)
    return Perturbation(defect, residual + rounding)


@dataclass(frozen=True)
class ModelRounding:
    """How far the model's own arithmetic may have moved the singular values of J.

    Attributes:
        sigma_error: δ ≥ |σ_i(J) − σ_i(J₆₄)| for every i; 0.0 for a float64 model, whose rounding
            lies within the linear algebra's; None where it could not be measured.
        text: how it is known, for a record.
        remedy: what would make it smaller.
    """

    sigma_error: float | None
    text: str
    remedy: str = "take the model in float64"

    def at(self, values: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
        """2σδ + δ², the error of each eigenvalue λ = σ².

        Example:
            >>> ModelRounding(0.1, "").at(torch.tensor([4.0, 0.0]).double())
            tensor([0.4100, 0.0100], dtype=torch.float64)
        """
        delta = self.sigma_error or 0.0
        return 2 * values.clamp_min(0.0).sqrt() * delta + delta**2


def gram_rounding(trace: float, inner: int, *, certain: bool = False) -> float:
    """Bound ‖fl(J Jᵀ) − J Jᵀ‖₂ ≤ γ_k ‖J‖_F² for inner products of length k = `inner`.

    Args:
        trace: the trace of the computed Gram matrix; ‖J‖_F² ≤ trace/(1 − γ_{k+n}).
        inner: the length of the inner products (P for J Jᵀ, N·C for Jᵀ J).
        certain: use γ_k, which always holds; else `gamma_likely`.
    """
    factor = gamma(inner) if certain else gamma_likely(inner)
    return factor * trace / (1 - 2 * gamma(inner + 16)) * (1 + 1e-12)
