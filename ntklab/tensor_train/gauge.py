"""The gauge freedom of a tensor train: directions in θ that leave the weights unchanged.

Inserting X X⁻¹ at a bond changes two cores and not w. So ∂w/∂θ always has null directions, the
NTK of a train is never "injective in θ", and its spectrum depends on which representative of the
same function is trained (theory P1, P4, P10).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.errors import InputError
from ntklab.tensor_train.contraction import Cores, shape_of, tangent_map
from ntklab.tensor_train.decomposition import orthogonalize, unfolding_spectra
from ntklab.tensor_train.shape import TTShape

# A drop of σ by less than this at the cut leaves the rank undecided (theory §4).
LARGEST_DECIDED_GAP = 1e-4


@dataclass(frozen=True)
class Nullity:
    """A numerical nullity together with the gap that decides it.

    Attributes:
        value: dim ker ∂w/∂θ.
        rank: P − value.
        parameters: P.
        gap: σ_{rank+1}/σ_rank, 0 if nothing lies below the cut; small is good.
        smallest: σ_rank/σ_1, the smallest singular value that was counted.
    """

    value: int
    rank: int
    parameters: int
    gap: float
    smallest: float

    @property
    def decided(self) -> bool:
        """Whether the gap is clear enough to call `value` a fact about these cores."""
        return self.gap <= LARGEST_DECIDED_GAP


@dataclass(frozen=True)
class PredictedNullity:
    """The nullity that theory gives for generic cores and a generic latent.

    Attributes:
        value: the nullity if `exact`, else a lower bound.
        exact: whether the latent is separable, so that a formula exists.
    """

    value: int
    exact: bool


@dataclass(frozen=True)
class TangentBounds:
    """Bounds on the singular values of ∂w/∂θ for a plain train in the canonical gauge (P10).

    Attributes:
        smallest: σ⁺_min(∂w/∂θ) ≥ this = min(1, min_k s_{r_k}(unfolding k)).
        largest: σ_max(∂w/∂θ) ≤ this = sqrt(1 + Σ_k s_1(unfolding k)²).
    """

    smallest: float
    largest: float


@takes_arrays
def gauge_null_vectors(cores: Cores) -> Float[Tensor, "P q"]:
    """The tangent vectors of the GL(r_k) orbit at every bond; ∂w/∂θ maps each to zero (P1).

    For bond k and each elementary matrix X: δG_k = G_k X, δG_{k+1} = −X G_{k+1}. They exist
    whatever the latent is; some latents have more null directions (`exact_nullity`).

    Args:
        cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k).

    Returns:
        Shape (P, Σ r_k²), not orthonormal; rows ordered as the columns of `tangent_map`, columns
        by bond, then by (row, column) of X.

    Cost: P · Σ r_k² numbers.

    Example:
        >>> cores = [torch.randn(1, 1, 3, 2), torch.randn(2, 1, 4, 1)]
        >>> null = gauge_null_vectors(cores)
        >>> null.shape, bool((tangent_map(cores, torch.ones(1)) @ null).abs().max() < 1e-5)
        (torch.Size([14, 4]), True)
    """
    shape = shape_of(cores)
    sizes = [core.numel() for core in cores]
    columns = []
    for k in range(shape.length - 1):
        left, right = cores[k], cores[k + 1]
        rank = left.shape[-1]
        units = torch.eye(rank * rank, dtype=left.dtype, device=left.device)
        units = units.reshape(rank * rank, rank, rank)
        block = left.new_zeros(rank * rank, sum(sizes))
        start = sum(sizes[:k])
        middle, stop = start + sizes[k], start + sizes[k] + sizes[k + 1]
        block[:, start:middle] = torch.einsum("anmc,qcb->qanmb", left, units).flatten(1)
        block[:, middle:stop] = -torch.einsum("qbc,cnms->qbnms", units, right).flatten(1)
        columns.append(block.T)
    return torch.cat(columns, dim=1) if columns else cores[0].new_zeros(sum(sizes), 0)


@takes_arrays
def nullity(cores: Cores, latent: Float[Tensor, " z"]) -> Nullity:
    """dim ker ∂w/∂θ at these cores and this latent, from singular values in float64.

    The cut is at max(D, P)·ε·σ_1. Look at `gap` before quoting the number, and use
    `exact_nullity` for the generic value of a shape without any tolerance.

    Args:
        cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k).
        latent: z, shape (Π n_k,); ones(1) for a plain train.

    Returns:
        The nullity, rank, gap and smallest counted singular value.

    Cost: a dense SVD of the D × P tangent map; small problems.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> cores = [torch.randn(s, generator=generator) for s in ((1, 1, 3, 2), (2, 1, 4, 1))]
        >>> found = nullity(cores, torch.ones(1))
        >>> found.value, found.rank, found.decided
        (4, 10, True)
    """
    tangent = tangent_map([core.double() for core in cores], latent.double())
    values = torch.linalg.svdvals(tangent)
    if not float(values[0]) > 0:
        raise InputError(
            "the tangent map of these cores is zero or not finite: nullity needs finite cores "
            "of which at most one is zero."
        )
    cut = max(tangent.shape) * torch.finfo(torch.float64).eps * values[0]
    rank = int((values > cut).sum())
    below = float(values[rank]) if rank < len(values) else 0.0
    parameters = tangent.shape[1]
    smallest = float(values[rank - 1])
    return Nullity(
        parameters - rank, rank, parameters, below / smallest, smallest / float(values[0])
    )


def predicted_nullity(shape: TTShape) -> PredictedNullity:
    """The nullity that theory gives: exact for separable latents, else a lower bound (P1).

    A latent is separable if no core touches two non-trivial latent bonds. Then G_k ↦ G_k z_k maps
    onto the unconstrained cores of a train with ranks R_k = r_k s_k, so the rank is the dimension
    of that variety; with n_k no larger than the latent's rank there and unfoldings that hold R_k,
    nullity = Σ (r_k s_k)². Otherwise Σ r_k² counts the bonds' own gauge and more may be null.

    Args:
        shape: the train.

    Returns:
        The number and whether it is exact. Both presuppose generic cores and latent.

    Example:
        >>> predicted_nullity(TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 1, 1)))
        PredictedNullity(value=21, exact=True)
        >>> predicted_nullity(TTShape((2, 2, 2), (8, 8, 8), (1, 2, 2, 1)))  # is 16 in truth
        PredictedNullity(value=8, exact=False)
    """
    return PredictedNullity(shape.parameters - shape.rank_bound, is_separable(shape))


def is_separable(shape: TTShape) -> bool:
    """Whether no core touches two non-trivial bonds of a generic latent (theory P1).

    Then the generated weights are exactly the trains of ranks r_k s_k.

    >>> is_separable(TTShape((1, 2, 2, 1), (4, 4, 4, 4), (1, 2, 2, 1, 1)))
    True
    >>> is_separable(TTShape((2, 2, 2), (4, 4, 4), (1, 2, 2, 1)))
    False
    """
    schmidt = (1, *shape.schmidt_ranks, 1)
    return all(min(pair) == 1 for pair in pairwise(schmidt))


@takes_arrays
def canonical_gauge(cores: Cores, centre: int | None = None) -> list[Tensor]:
    """The same weights from orthogonal cores around one centre, which carries the norm (P10).

    Args:
        cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k).
        centre: the core that stays free, counted from 0; the last by default.

    Returns:
        New cores; ranks that their cores cannot hold are reduced.

    Raises:
        InputError: a centre that is not a core.

    Example:
        >>> cores = [torch.full((1, 1, 4, 1), 2.0), torch.full((1, 1, 9, 1), 1.0)]
        >>> [round(float(core.norm()), 4) for core in canonical_gauge(cores)]
        [1.0, 12.0]
    """
    return orthogonalize(cores, len(cores) - 1 if centre is None else centre)


@takes_arrays
def equal_norm_gauge(cores: Cores) -> list[Tensor]:
    """The same weights with one scale a core, so that all cores have one Frobenius norm.

    The scalar gauge in which ‖θ‖ is smallest: by the inequality of the means, Σ ‖G_k‖² is least,
    over scales with product 1, when the norms are equal.

    Args:
        cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k).

    Returns:
        New cores, proportional to the old ones.

    Raises:
        InputError: a zero core, which no scale can balance.

    Example:
        >>> cores = [torch.full((1, 1, 4, 1), 2.0), torch.full((1, 1, 9, 1), 1.0)]
        >>> [round(float(core.norm()), 4) for core in equal_norm_gauge(cores)]
        [3.4641, 3.4641]
    """
    norms = [float(core.norm()) for core in cores]
    if not all(0 < norm < float("inf") for norm in norms):
        raise InputError(
            f"cores with norms {norms} cannot be given one norm: every norm must be positive "
            "and finite."
        )
    common = exp(sum(log(norm) for norm in norms) / len(norms))
    return [core * (common / norm) for core, norm in zip(cores, norms, strict=True)]


@takes_arrays
def scale_bond(cores: Cores, bond: int, factor: float) -> list[Tensor]:
    """G_k → t G_k and G_{k+1} → t⁻¹ G_{k+1}: the same weights, another kernel (P4).

    The kernel Σ_j K_j of the per-core kernels becomes Σ_{j≠k,k+1} K_j + t⁻² K_k + t² K_{k+1}.

    Args:
        cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k).
        bond: k in 1..K−1, the index of r_k; it joins `cores[bond - 1]` and `cores[bond]`.
        factor: t, finite and not zero.

    Returns:
        New cores.

    Raises:
        InputError: a bond that does not exist, or a factor of zero or not finite.

    Example:
        >>> cores = [torch.ones(1, 1, 2, 1), torch.ones(1, 1, 2, 1)]
        >>> [core.flatten().tolist() for core in scale_bond(cores, 1, 4.0)]
        [[4.0, 4.0], [0.25, 0.25]]
    """
    if not 1 <= bond < len(cores):
        raise InputError(
            f"bond {bond} does not exist: a train of {len(cores)} cores has bonds 1 to "
            f"{len(cores) - 1}."
        )
    if not 0 < abs(factor) < float("inf"):
        raise InputError(f"a bond cannot be scaled by {factor}: give a finite number, not zero.")
    scaled = list(cores)
    scaled[bond - 1] = cores[bond - 1] * factor
    scaled[bond] = cores[bond] / factor
    return scaled


@takes_arrays
def tangent_bounds(cores: Sequence[Float[Tensor, "r *modes s"]]) -> TangentBounds:
    """Two-sided bounds on ∂w/∂θ of a plain train in its canonical gauge (P10, mending eq 28).

    After gauge fixing, conditioning is a property of the unfolding spectra of w, not of the cores
    being orthogonal: σ⁺_min ≥ min(1, min_k s_{r_k}) and σ²_max ≤ 1 + Σ_k s_1². The bounds hold for
    every centre, and for the given cores only once they are in that gauge.

    Args:
        cores: K tensors with n_k = 1, ranks that the unfoldings attain.

    Returns:
        Bounds on the nonzero singular values of `tangent_map(canonical_gauge(cores), ones(1))`.

    Raises:
        InputError: cores with a latent mode.

    Cost: O(K m r³).

    Example:
        >>> bounds = tangent_bounds([torch.eye(2).reshape(1, 1, 2, 2) * 3,
        ...                          torch.eye(2).reshape(2, 1, 2, 1)])
        >>> bounds.smallest, round(bounds.largest**2, 4)
        (1.0, 10.0)
    """
    if any(core.ndim == 4 and core.shape[1] != 1 for core in cores):
        raise InputError(
            f"in-dims {[core.shape[1] for core in cores]} must all be 1: P10 is proved for plain "
            "trains, without a latent."
        )
    spectra = unfolding_spectra(cores)
    smallest = min([1.0, *(float(values[-1]) for values in spectra)])
    return TangentBounds(smallest, (1 + sum(float(v[0]) ** 2 for v in spectra)) ** 0.5)
