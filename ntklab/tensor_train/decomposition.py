"""TT-SVD, rounding and orthogonalization: plain trains in canonical form.

One convention for every function here. TT-SVD returns cores of shape (r_{k-1}, m_k, r_k). A core
with a latent mode, (r_{k-1}, n_k, m_k, r_k), is accepted wherever cores are taken and is treated
as a plain core whose mode is the pair (n_k, m_k); what comes back has the shape that went in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod, sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.display import ShortRepr
from ntklab.errors import InputError

PlainCores = Sequence[Float[Tensor, "r *modes s"]]


@dataclass(frozen=True, repr=False)
class TTDecomposition(ShortRepr):
    """A tensor train and what was thrown away to reach it.

    Attributes:
        cores: K tensors of shape (r_{k-1}, m_k, r_k); all but the last left-orthogonal.
        discarded: K−1 energies, the sum of squared singular values dropped at each bond. The
            projections are nested, so their sum is the squared Frobenius error exactly.
    """

    cores: tuple[Tensor, ...]
    discarded: tuple[float, ...]

    @property
    def ranks(self) -> tuple[int, ...]:
        """r_0..r_K."""
        return _ranks_of(self.cores)

    @property
    def error(self) -> float:
        """The Frobenius distance to the tensor that was decomposed: sqrt(Σ discarded)."""
        return sqrt(sum(self.discarded))


@takes_arrays
def tt_svd(
    tensor: Float[Tensor, "*modes"],
    *,
    ranks: int | Sequence[int] | None = None,
    tolerance: float | None = None,
) -> TTDecomposition:
    """Decompose a dense tensor by successive truncated SVDs (Oseledets 2011, Algorithm 1).

    Quasi-optimal: with τ_k the energy that unfolding k must lose (`unfolding_tails`) and ε_best
    the best error at these ranks, max τ_k ≤ ε_best² ≤ error² ≤ Σ τ_k ≤ (K−1) ε_best².

    Args:
        tensor: shape (m_1, …, m_K), real floating point; the work is done in its dtype.
        ranks: the largest rank of each bond: one number for all, or r_0..r_K with both ends 1.
            Where the tensor's unfolding has a lower rank, the lower rank is returned.
        tolerance: the largest relative Frobenius error allowed; ranks are the smallest that
            Algorithm 1 finds for it. With both, ranks still cap. With neither, only singular
            values at rounding level are dropped.

    Returns:
        The cores, left-orthogonal but for the last, and the discarded energies.

    Raises:
        InputError: a tensor without modes or entries, an integer or complex dtype, ranks of the
            wrong length, or a negative tolerance.

    Cost: K−1 SVDs; the first, of shape m_1 × D/m_1, dominates.

    Example:
        >>> ramp = torch.arange(24, dtype=torch.float64).reshape(2, 3, 4)
        >>> train = tt_svd(ramp)
        >>> train.ranks, bool(torch.allclose(reconstruct(train.cores), ramp))
        ((1, 2, 2, 1), True)
        >>> round(tt_svd(ramp, ranks=1).error / float(ramp.norm()), 4)
        0.1169
    """
    if tensor.ndim == 0 or tensor.numel() == 0 or not tensor.is_floating_point():
        raise InputError(
            "TT-SVD needs a real floating-point tensor with at least one mode and one entry, not "
            f"shape {list(tensor.shape)} and {tensor.dtype}: reshape or convert it first."
        )
    modes = tuple(tensor.shape)
    caps = _rank_caps(ranks, len(modes))
    splits = [(prod(modes[:k]), prod(modes[k:])) for k in range(1, len(modes))]
    widest = max((max(sides) for sides in splits), default=1)
    threshold = _step_threshold(tensor, widest, tolerance, len(modes))
    cores, discarded, rest = [], [], tensor.reshape(1, -1)
    for k, mode in enumerate(modes[:-1]):
        matrix = rest.reshape(rest.shape[0] * mode, -1)
        left, rest, lost = _truncated_svd(matrix, caps[k + 1], threshold)
        cores.append(left.reshape(-1, mode, left.shape[1]))
        discarded.append(lost)
    cores.append(rest.reshape(-1, modes[-1], 1))
    return TTDecomposition(tuple(cores), tuple(discarded))


@takes_arrays
def tt_round(
    cores: PlainCores,
    *,
    ranks: int | Sequence[int] | None = None,
    tolerance: float | None = None,
) -> TTDecomposition:
    """Lower the ranks of a train without forming its tensor (Oseledets 2011, Algorithm 2).

    Right-to-left orthogonalization, then a left-to-right sweep of truncated SVDs; the result is
    the TT-SVD of the tensor, up to rounding.

    Args:
        cores: K tensors of shape (r_{k-1}, m_k, r_k) or (r_{k-1}, n_k, m_k, r_k).
        ranks: as in `tt_svd`.
        tolerance: as in `tt_svd`.

    Returns:
        The rounded cores (same mode shapes) and the discarded energies.

    Raises:
        InputError: cores whose bonds do not fit, ranks of the wrong length, a negative tolerance.

    Cost: O(K m r³), whatever the size of the tensor.

    Example:
        Adding a train to itself doubles its ranks; rounding finds that nothing was added.

        >>> first = torch.cat([torch.ones(1, 3, 1), torch.ones(1, 3, 1)], dim=2)
        >>> last = torch.cat([torch.ones(1, 4, 1), torch.ones(1, 4, 1)], dim=0)
        >>> tt_round([first, last]).ranks
        (1, 1, 1)
    """
    rest = list(orthogonalize(cores, 0))
    caps = _rank_caps(ranks, len(rest))
    widest = max(core.numel() // min(core.shape[0], core.shape[-1]) for core in rest)
    threshold = _step_threshold(rest[0], widest, tolerance, len(rest))
    discarded = []
    for k in range(len(rest) - 1):
        matrix = rest[k].reshape(-1, rest[k].shape[-1])
        left, right, lost = _truncated_svd(matrix, caps[k + 1], threshold)
        rest[k] = left.reshape(*rest[k].shape[:-1], left.shape[1])
        rest[k + 1] = torch.tensordot(right, rest[k + 1], dims=1)
        discarded.append(lost)
    return TTDecomposition(tuple(rest), tuple(discarded))


@takes_arrays
def orthogonalize(cores: PlainCores, centre: int) -> list[Tensor]:
    """The same train with all cores but one orthogonal: the canonical gauge with that centre.

    Cores left of the centre have orthonormal columns as (r_{k-1} m_k) × r_k matrices, cores right
    of it orthonormal rows as r_{k-1} × (m_k r_k); the centre then carries the whole Frobenius
    norm. A rank larger than its unfolding holds is reduced by the QR factorization.

    Args:
        cores: K tensors of shape (r_{k-1}, m_k, r_k) or (r_{k-1}, n_k, m_k, r_k).
        centre: which core stays free, counted from 0.

    Returns:
        New cores for the same tensor.

    Raises:
        InputError: bonds that do not fit, or a centre outside 0..K−1.

    Cost: K−1 QR factorizations, O(K m r³).

    Example:
        >>> train = [torch.full((1, 2, 1), 3.0), torch.full((1, 2, 1), 0.5)]
        >>> [round(float(core.norm()), 4) for core in orthogonalize(train, 1)]
        [1.0, 3.0]
    """
    _check_bonds(cores)
    if not 0 <= centre < len(cores):
        raise InputError(
            f"centre {centre} is not a core: a train of {len(cores)} cores has centres "
            f"0 to {len(cores) - 1}."
        )
    result = list(cores)
    for k in range(centre):
        q, r = torch.linalg.qr(result[k].reshape(-1, result[k].shape[-1]))
        result[k] = q.reshape(*result[k].shape[:-1], -1)
        result[k + 1] = torch.tensordot(r, result[k + 1], dims=1)
    for k in range(len(cores) - 1, centre, -1):
        q, r = torch.linalg.qr(result[k].reshape(result[k].shape[0], -1).T)
        result[k] = q.T.reshape(-1, *result[k].shape[1:])
        result[k - 1] = torch.tensordot(result[k - 1], r.T, dims=1)
    return result


@takes_arrays
def reconstruct(cores: PlainCores) -> Float[Tensor, "*modes"]:
    """The dense tensor of a train: X[i_1..i_K] = G_1[i_1] ⋯ G_K[i_K] (eq 2).

    Args:
        cores: K tensors of shape (r_{k-1}, m_k, r_k) or (r_{k-1}, n_k, m_k, r_k).

    Returns:
        Shape (m_1, …, m_K); with latent modes, (n_1, m_1, …, n_K, m_K).

    Raises:
        InputError: bonds that do not fit.

    Example:
        >>> reconstruct([torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[3.0], [4.0]]])])
        tensor([[3., 4.],
                [6., 8.]])
    """
    _check_bonds(cores)
    dense = cores[0]
    for core in cores[1:]:
        dense = torch.tensordot(dense, core, dims=1)
    return dense.squeeze(0).squeeze(-1)


@takes_arrays
def unfolding_tails(
    tensor: Float[Tensor, "*modes"], ranks: int | Sequence[int]
) -> tuple[float, ...]:
    """τ_1..τ_{K−1}: the energy of each unfolding beyond its rank, Σ_{j>r_k} s_j² (eq 8, mended).

    Args:
        tensor: shape (m_1, …, m_K).
        ranks: one number for all bonds, or r_0..r_K with both ends 1.

    Returns:
        K−1 numbers in the square of the tensor's unit.

    Raises:
        InputError: ranks of the wrong length.

    Cost: K−1 SVDs of D entries each.

    Example:
        >>> unfolding_tails(torch.diag(torch.tensor([3.0, 2.0, 1.0])), 1)
        (5.0,)
    """
    caps = _rank_caps(ranks, tensor.ndim)
    tails = []
    for k in range(1, tensor.ndim):
        values = torch.linalg.svdvals(tensor.reshape(prod(tensor.shape[:k]), -1))
        tails.append(float(values[caps[k] :].square().sum()))
    return tuple(tails)


@takes_arrays
def unfolding_spectra(cores: PlainCores) -> list[Float[Tensor, " r"]]:
    """Singular values of every unfolding of a train, without forming its tensor.

    With the centre at core k and everything else orthogonal, the centre's right unfolding has
    the singular values of the whole train's.

    Args:
        cores: K tensors of shape (r_{k-1}, m_k, r_k) or (r_{k-1}, n_k, m_k, r_k).

    Returns:
        K−1 vectors, decreasing; entry k−1 belongs to the unfolding between cores k and k+1.

    Raises:
        InputError: bonds that do not fit.

    Cost: O(K m r³).

    Example:
        >>> unfolding_spectra([torch.eye(2).reshape(1, 2, 2), torch.eye(2).reshape(2, 2, 1)])
        [tensor([1., 1.])]
    """
    moving = orthogonalize(cores, 0)
    spectra = []
    for k in range(len(moving) - 1):
        matrix = moving[k].reshape(-1, moving[k].shape[-1])
        spectra.append(torch.linalg.svdvals(matrix))
        q, r = torch.linalg.qr(matrix)
        moving[k] = q.reshape(*moving[k].shape[:-1], -1)
        moving[k + 1] = torch.tensordot(r, moving[k + 1], dims=1)
    return spectra


def _truncated_svd(
    matrix: Tensor, cap: int | None, threshold: float
) -> tuple[Tensor, Tensor, float]:
    """U_r, S_r V_rᵀ and the energy lost; r is the least with a tail within the threshold."""
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    # tails[r] = energy lost when r singular values are kept, summed from the small end.
    tails = torch.cat([s.square().flip(0).cumsum(0).flip(0), s.new_zeros(1)])
    rank = max(1, int((tails > threshold**2).sum()))
    rank = rank if cap is None else min(rank, cap)
    return u[:, :rank], s[:rank, None] * vt[:rank], float(tails[rank])


def _step_threshold(carrier: Tensor, widest: int, tolerance: float | None, length: int) -> float:
    """δ of Algorithm 1: the error that one bond may add so that K−1 of them stay within.

    Never below rounding, max(shape)·ε·‖X‖ over the unfoldings: what is smaller than that was
    made by the earlier steps, so a rank spent on it would be spent on noise.
    """
    norm = float(carrier.norm())
    rounding = widest * torch.finfo(carrier.dtype).eps * norm
    if tolerance is None:
        return rounding
    if not tolerance >= 0:
        raise InputError(f"tolerance {tolerance} must be a relative error of at least 0.")
    return max(rounding, tolerance * norm / sqrt(max(length - 1, 1)))


def _rank_caps(ranks: int | Sequence[int] | None, length: int) -> list[int | None]:
    if ranks is None or isinstance(ranks, int):
        caps: list[int | None] = [1, *([ranks] * (length - 1)), 1]
    else:
        caps = list(ranks)
    ends_are_one = len(caps) == length + 1 and caps[0] == caps[-1] == 1
    if not ends_are_one or any(cap is not None and cap < 1 for cap in caps):
        raise InputError(
            f"TT-ranks {ranks} do not fit {length} modes: give one rank of at least 1, or "
            f"{length + 1} ranks that begin and end with 1."
        )
    return caps


def _check_bonds(cores: PlainCores) -> None:
    shapes = [tuple(core.shape) for core in cores]
    bonds_fit = bool(shapes) and all(a[-1] == b[0] for a, b in pairwise(shapes))
    if not bonds_fit or shapes[0][0] != 1 or shapes[-1][-1] != 1:
        raise InputError(
            f"cores of shapes {shapes} do not form a train: each last dimension must equal the "
            "next first one, and both ends must be 1."
        )


def _ranks_of(cores: Sequence[Tensor]) -> tuple[int, ...]:
    return (cores[0].shape[0], *(core.shape[-1] for core in cores))
