"""The dual Gram matrix of a head through its weights: no row of J, however many outputs.

With T1 = ∂W1/∂θ (d, M, P), T2 = ∂W2/∂θ (M, C, P), h = σ(φ W1) and s = σ'(φ W1), G / scale² is

    Σ_jj' T1[:, j]ᵀ (W2 W2ᵀ)_jj' (Σ_n s_nj s_nj' φ_n φ_nᵀ) T1[:, j']
  + X + Xᵀ,  X = Σ_ijj'c T1[i, j] (Σ_n φ_ni s_nj h_nj') W2[j, c] T2[j', c]
  + Σ_jj'c T2[j, c] (Σ_n h_nj h_nj') T2[j', c],

for every σ; with σ = identity the first bracket is ΦᵀΦ for every pair (theory §3).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters import Adapter, FactorAdapter, FactorTangents

# Entries of T2 multiplied at a time: 2^24 float64 numbers are 128 MiB.
_BLOCK = 1 << 24


def dual_gram(
    adapter: Adapter, features: Float[Tensor, "N d"], dtype: torch.dtype, memory: int
) -> Float[Tensor, "P P"] | None:
    """G = JᵀJ through the weights, where that takes fewer multiply-adds than N·C rows; else None.

    Args:
        adapter: a head with factor tangents, or a ΔW with an `update_gram`.
        features: Φ.
        dtype: of all sums.
        memory: bytes that the tangents may take.

    Cost: M²(N d² + d² P) + M C P (M + P) multiply-adds (M instead of M² where σ is the identity),
    nothing that grows with N·C; memory M (d P1 + C P2) + d² numbers.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> from ntklab.jacobians import jacobian
        >>> head = build_adapter("tensorguide", 6, 900, width=4, dtype=torch.float64)
        >>> x = torch.randn(5, 6, dtype=torch.float64)
        >>> with torch.no_grad():
        ...     G = dual_gram(head, x, torch.float64, memory=1 << 30)
        >>> J = jacobian(head, x, engine="jacrev").dense()
        >>> torch.allclose(G, J.T @ J)
        True
    """
    phi = features.to(dtype)
    if adapter.moving is None:
        gram = adapter.update_gram(phi.T @ phi)
        return None if gram is None else gram * adapter.scale**2
    if not _shorter_than_rows(adapter, len(phi), memory, dtype):
        return None
    return _by_factors(adapter, phi) * adapter.scale**2


def _shorter_than_rows(adapter: Adapter, n_samples: int, memory: int, dtype: torch.dtype) -> bool:
    """Whether this form takes fewer multiply-adds than N·C rows, with its tangents in `memory`."""
    assert adapter.moving is not None
    d, outputs, size = adapter.in_features, adapter.out_features, adapter.parameter_count
    width = inner_width(adapter)
    first, second = adapter.moving
    numbers = FactorTangents.count(d, width, outputs, adapter.moving)
    if numbers * dtype.itemsize > memory:
        return False
    pairs = width if adapter.linear else width**2
    through_weights = pairs * d * (
        d * (first + n_samples) + first**2
    ) + width * outputs * second * (width + second)
    return through_weights < n_samples * outputs * size * (size + d)


def _by_factors(adapter: Adapter, phi: Float[Tensor, "N d"]) -> Float[Tensor, "P P"]:
    tangents = adapter.factor_tangents()
    first, second = tangents.first.to(phi), tangents.second.to(phi)
    above, below = tangents.by_first.to(phi), tangents.by_second.to(phi)
    preactivation = phi @ first
    if isinstance(adapter, FactorAdapter) and not adapter.linear:
        slope = adapter.activation.derivative(preactivation)
        hidden = adapter.activation.function(preactivation)
        by_first = _by_first_in_pairs(above, phi, slope, second @ second.T)
        moments = torch.einsum("ni,nj,nk->ijk", phi, slope, hidden)
    else:
        hidden = preactivation
        by_first = _by_first_at_once(above, phi.T @ phi, second @ second.T)
        moments = (phi.T @ hidden).unsqueeze(1).expand(-1, hidden.shape[1], -1)
    one, two = tangents.first_columns, tangents.second_columns
    gram = phi.new_zeros(adapter.parameter_count, adapter.parameter_count)
    cross = _cross(above, below, moments, second)
    gram[one, one] += by_first
    gram[one, two] += cross
    gram[two, one] += cross.T
    gram[two, two] += _by_second(below, hidden.T @ hidden)
    return gram


def _by_first_at_once(
    above: Float[Tensor, "d M P"], moment: Float[Tensor, "d d"], across: Float[Tensor, "M M"]
) -> Float[Tensor, "P P"]:
    """Σ_jj' across_jj' T1[:, j]ᵀ moment T1[:, j']."""
    weighted = torch.einsum("jk,ikp->ijp", across, (moment @ above.flatten(1)).view_as(above))
    return above.flatten(0, 1).T @ weighted.flatten(0, 1)


def _by_first_in_pairs(
    above: Float[Tensor, "d M P"],
    phi: Float[Tensor, "N d"],
    slope: Float[Tensor, "N M"],
    across: Float[Tensor, "M M"],
) -> Float[Tensor, "P P"]:
    """Σ_jj' T1[:, j]ᵀ across_jj' (Φᵀ diag(s_j s_j') Φ) T1[:, j'], each pair once."""
    gram = above.new_zeros(above.shape[2], above.shape[2])
    for j in range(above.shape[1]):
        for other in range(j + 1):
            weighted = phi * (slope[:, j] * slope[:, other] * across[j, other]).unsqueeze(1)
            part = above[:, j].T @ ((phi.T @ weighted) @ above[:, other])
            gram += part if j == other else part + part.T
    return gram


def _cross(
    above: Float[Tensor, "d M P"],
    below: Float[Tensor, "M C Q"],
    moments: Float[Tensor, "d M M"],
    second: Float[Tensor, "M C"],
) -> Float[Tensor, "P Q"]:
    left = torch.einsum("ijp,ijk->jkp", above, moments)
    right = torch.einsum("jc,kcq->jkq", second, below)
    return left.flatten(0, 1).T @ right.flatten(0, 1)


def _by_second(below: Float[Tensor, "M C Q"], moments: Float[Tensor, "M M"]) -> Tensor:
    """Σ_c T2[:, c]ᵀ (HᵀH) T2[:, c], some outputs at a time."""
    width, _, size = below.shape
    gram = below.new_zeros(size, size)
    for block in below.split(max(1, _BLOCK // (width * size)), dim=1):
        mixed = (moments @ block.flatten(1)).reshape(-1, size)
        gram.addmm_(block.flatten(0, 1).T, mixed)
    return gram


def inner_width(adapter: Adapter) -> int:
    """M, or for a train of ΔW the rank of its bond between inputs and outputs."""
    if adapter.width is not None:
        return adapter.width
    shape = adapter.shapes["cores"]
    sizes = torch.tensor(shape.out_dims).cumprod(0).tolist()
    return shape.ranks[sizes.index(adapter.in_features) + 1]
