"""The dual Gram matrix of a hidden layer through its weights: no row of J, however many outputs.

With T = ∂w/∂θ = [T1 (d, M, P); T2 (M, C, P)], h = σ(φ W1) and s = σ'(φ W1), G / scale² is

    Σ_jj' T1[:, j]ᵀ (W2 W2ᵀ)_jj' (Σ_n s_nj s_nj' φ_n φ_nᵀ) T1[:, j']
  + X + Xᵀ,  X = Σ_ijj'c T1[i, j] (Σ_n φ_ni s_nj h_nj') W2[j, c] T2[j', c]
  + Σ_jj'c T2[j, c] (Σ_n h_nj h_nj') T2[j', c],

for every σ (theory §3, where σ' = 1 makes the first bracket ΦᵀΦ).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters import FactorAdapter

# Entries of T2 multiplied at a time: 2^24 float64 numbers are 128 MiB.
_BLOCK = 1 << 24


def shorter_than_rows(
    adapter: FactorAdapter, n_samples: int, memory: int, dtype: torch.dtype
) -> bool:
    """Whether this form takes fewer multiply-adds than N·C rows, with T in `memory`."""
    width, outputs, size = adapter.width, adapter.out_features, adapter.parameter_count
    features = adapter.in_features
    weights = width * (features + outputs)
    if weights * size * torch.empty((), dtype=dtype).element_size() > memory:
        return False
    through_weights = width**2 * features * (
        n_samples * features + features * size + n_samples
    ) + width * outputs * size * (width + size)
    return through_weights < n_samples * outputs * size * (size + features)


def hidden_dual_gram(
    adapter: FactorAdapter, features: Float[Tensor, "N d"], dtype: torch.dtype
) -> Float[Tensor, "P P"]:
    """G = JᵀJ of f = base + scale · σ(φ W1) W2.

    Args:
        adapter: the head.
        features: Φ.
        dtype: of all sums.

    Cost: M²(N d² + d² P) + M C P (M + P) multiply-adds, nothing that grows with N·C; memory
    D P + d² numbers.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> from ntklab.jacobian import jacobian
        >>> head = build_adapter("tensorguide", 6, 3, width=4, dtype=torch.float64)
        >>> x = torch.randn(5, 6, dtype=torch.float64)
        >>> with torch.no_grad():
        ...     G = hidden_dual_gram(head, x, torch.float64)
        >>> J = jacobian(head, x, engine="loop").dense()
        >>> torch.allclose(G, J.T @ J)
        True
    """
    phi = features.to(dtype)
    first, second = (factor.to(dtype) for factor in adapter.factors())
    preactivation = phi @ first
    slope = adapter.activation.derivative(preactivation)
    hidden = adapter.activation.function(preactivation)
    tangent = adapter.tangent_map().to(dtype)
    above = tangent[: first.numel()].reshape(*first.shape, -1)
    below = tangent[first.numel() :].reshape(*second.shape, -1)
    gram = _by_first(above, phi, slope, second @ second.T)
    cross = _cross(above, below, torch.einsum("ni,nj,nk->ijk", phi, slope, hidden), second)
    gram += cross + cross.T
    gram += _by_second(below, hidden.T @ hidden)
    return gram * adapter.scale**2


def _by_first(
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
    below: Float[Tensor, "M C P"],
    moments: Float[Tensor, "d M M"],
    second: Float[Tensor, "M C"],
) -> Float[Tensor, "P P"]:
    left = torch.einsum("ijp,ijk->jkp", above, moments)
    right = torch.einsum("jc,kcp->jkp", second, below)
    return left.flatten(0, 1).T @ right.flatten(0, 1)


def _by_second(below: Float[Tensor, "M C P"], moments: Float[Tensor, "M M"]) -> Tensor:
    """Σ_c T2[:, c]ᵀ (HᵀH) T2[:, c], some outputs at a time."""
    width, _, size = below.shape
    gram = below.new_zeros(size, size)
    for block in below.split(max(1, _BLOCK // (width * size)), dim=1):
        mixed = (moments @ block.flatten(1)).reshape(-1, size)
        gram.addmm_(block.flatten(0, 1).T, mixed)
    return gram
