"""Enclosures of λ_min: intervals that are proven to hold it, for the floats given.

Model: IEEE 754 binary64, rounding to nearest, no overflow or underflow, matrix products by
ordinary inner products in any order (fused or not). Nothing is assumed about how the
decomposition was found: it is checked afterwards.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.errors import InputError, unknown
from ntklab.jacobians.symmetric import gram_matrix
from ntklab.spectra.operator import JacobianLike, check_kernel, check_matrix
from ntklab.spectra.rounding import (
    UNIT_ROUNDOFF,
    eigen_perturbation,
    gamma,
    gram_rounding,
    norm_above,
    orthogonality_defect,
)
from ntklab.spectra.routes import gram_bytes, svd_bytes

Route = Literal["svd", "gram"]

_OF_MATRIX = "λ_min of the symmetric part of the matrix given, entries taken as exact"
_OF_JACOBIAN = "λ_min of J Jᵀ for the entries of J as computed, taken as exact"
_OF_SHAPE = "λ_min of J Jᵀ for every J of this shape"

# Pushes the few scalar operations that assemble a bound outwards; each errs by 2⁻⁵³ at most.
OUTWARD = 1 + 64 * UNIT_ROUNDOFF


@dataclass(frozen=True)
class Enclosure:
    """λ_min lies in [lower, upper]; in the kernel's own units.

    Attributes:
        lower: may be negative for a kernel matrix, which need not be one; ≥ 0 for a Jacobian.
        upper: the other end.
        estimate: the computed λ_min.
        route: "kernel", "svd", "gram", or "shape" where N·C > P forces λ_min = 0.
        claim: what is proven to lie within, in words; never the kernel in exact arithmetic of a
            model, whose own rounding no enclosure sees.
    """

    lower: float
    upper: float
    estimate: float
    route: str
    claim: str

    @property
    def radius(self) -> float:
        """The larger distance from the estimate to an end."""
        return max(self.upper - self.estimate, self.estimate - self.lower)

    @property
    def certified_positive(self) -> bool:
        """Whether λ_min > 0 is proven."""
        return self.lower > 0


@takes_arrays
def enclose(operator: JacobianLike | Float[Tensor, "n n"], *, route: Route = "svd") -> Enclosure:
    """Enclose the smallest eigenvalue of a kernel K, or of K = J Jᵀ for a Jacobian.

    What is proven, in the floating-point model of this module:

    - a matrix K: λ_min of the symmetric part of the float64 matrix given, from K = VΛVᵀ + E by
      Ostrowski (V is orthonormal up to ω) and Weyl (‖E‖₂), with the rounding of computing ω and E;
    - a Jacobian, route "gram": λ_min of the exact J Jᵀ of the floats in J: the above for the
      computed K, plus the rounding of forming it, γ_P ‖J‖_F² (Higham 2002, §3.5);
    - a Jacobian, route "svd": the same λ_min from J = UΣVᵀ + E. K is never formed, so the radius
      is ω·λ_min + 2σ_min·δ + δ², with ω the defect of U and V and δ the rounding of J rather than
      of K: the one to prefer.

    It is a proof about the numbers given, as `Enclosure.claim` says. It says nothing about the
    error of J itself, for example of a float32 model: `spectrum` measures that.

    Args:
        operator: a symmetric kernel (n, n), or a Jacobian whose dense float64 form fits its memory.
        route: for a Jacobian, "svd" or "gram".

    Raises:
        InputError: for bad input, or a Jacobian too large to be held as a matrix.

    Example:
        >>> K = torch.tensor([[4, 4, 4], [4, 6, 4], [4, 4, 6]])
        >>> e = enclose(K)
        >>> e.lower < 7 - 41**0.5 < e.upper, e.certified_positive, e.radius < 1e-13
        (True, True, True)
    """
    if route not in get_args(Route):
        raise unknown("route", str(route), get_args(Route))
    if isinstance(operator, Tensor):
        K = check_kernel(operator)
        asymmetric = not torch.equal(operator, operator.T)
        return _enclose_kernel(K, UNIT_ROUNDOFF * norm_above(K) if asymmetric else 0.0, "kernel")
    if not isinstance(operator, JacobianLike):
        raise InputError(
            "an enclosure needs a Jacobian or a symmetric torch.Tensor, not a"
            f" {type(operator).__name__}."
        )
    rows, columns = operator.shape
    if rows > columns:
        return Enclosure(0.0, 0.0, 0.0, "shape", _OF_SHAPE)
    needed = svd_bytes(operator.shape, vectors=True) + (gram_bytes(rows) if route == "gram" else 0)
    if needed > operator.memory:
        raise InputError(
            f"an enclosure for a Jacobian of shape {rows} × {columns} needs about"
            f" {needed / 2**30:.2g} GiB and {operator.memory / 2**30:.2g} GiB are allowed: raise"
            " the memory or take fewer samples."
        )
    J = check_matrix(operator.dense(torch.float64).cpu(), "the Jacobian")
    if route == "svd":
        return _enclose_jacobian(J)
    K = gram_matrix(J)  # one triangle mirrored: each obeys γ_P
    forming = gram_rounding(float(K.trace()), columns, certain=True)
    enclosure = _enclose_kernel(K, forming, "gram")
    return replace(
        enclosure, lower=max(enclosure.lower, 0.0), estimate=max(enclosure.estimate, 0.0)
    )


def _enclose_kernel(K: Float[Tensor, "n n"], forming: float, route: str) -> Enclosure:
    K = K.cpu()
    values, V = torch.linalg.eigh(K)
    # The intervals of all eigenvalues are ordered like their ends: take the smallest of each.
    radii = eigen_perturbation(K, values, V).at(values)
    lower = float((values - radii).min()) - forming
    upper = float((values + radii).min()) + forming
    claim = _OF_MATRIX if route == "kernel" else _OF_JACOBIAN
    return Enclosure(_down(lower), _up(upper), float(values[0]), route, claim)


def _enclose_jacobian(J: Float[Tensor, "m n"]) -> Enclosure:
    """σ_min from J = UΣVᵀ + E, m ≤ n: the extreme singular values of U and V scale it, E moves it.

    σ_min(J) ∈ [√((1−ω_U)(1−ω_V))·σ̂ − ‖E‖, √((1+ω_U)(1+ω_V))·σ̂ + ‖E‖], U square.
    """
    U, sigma, Vt = torch.linalg.svd(J, full_matrices=False)
    defect_u, defect_v = orthogonality_defect(U), orthogonality_defect(Vt.T)
    residual = norm_above(J - (U * sigma) @ Vt) * (1 + gamma(4))
    growth = math.sqrt((1 + defect_u) * (1 + defect_v))
    # | |U| Σ |V|ᵀ | ≤ Σ σ_i ‖u_i‖‖v_i‖ in norm, times γ for m + 1 roundings an entry.
    rounding = gamma(J.shape[0] + 1) * float(sigma.sum()) * growth * (1 + gamma(J.shape[0] + 16))
    error = (residual + rounding) * OUTWARD
    shrink = math.sqrt(max(1 - defect_u, 0.0) * max(1 - defect_v, 0.0))
    smallest = float(sigma[-1])
    lower = max(smallest * shrink / OUTWARD - error, 0.0)
    upper = smallest * growth * OUTWARD + error
    return Enclosure(_down(lower * lower), _up(upper * upper), smallest**2, "svd", _OF_JACOBIAN)


def _up(x: float) -> float:
    return x + abs(x) * 8 * UNIT_ROUNDOFF


def _down(x: float) -> float:
    return x - abs(x) * 8 * UNIT_ROUNDOFF
