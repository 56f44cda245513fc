"""The first factor of the chain rule: derivatives of the outputs by the generated weights.

J = G T with G = ∂f/∂w (this module) and T = ∂w/∂θ (`Adapter.tangent_map`): eqs 11, 12, 23, 25.
K_w = G Gᵀ is the kernel of the same network with its weights trained directly.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters import Adapter, DeltaAdapter, FactorAdapter
from ntklab.arrays import takes_arrays
from ntklab.errors import InputError
from ntklab.jacobians.symmetric import gram_matrix


@takes_arrays
@torch.no_grad()
def weight_jacobian(adapter: Adapter, features: Float[Tensor, "N d"]) -> Float[Tensor, "NC D"]:
    """G = ∂f/∂w as a dense matrix, `scale` included; row n·C + c, columns as `generate`.

    Args:
        adapter: w = [vec W1; vec W2] for a hidden layer, w = vec ΔW for a direct update.
        features: φ, float64 or the adapter's dtype.

    Returns:
        Shape (N·C, D).

    Raises:
        InputError: an adapter that is neither.

    Cost: N C D numbers; for small problems, use `weight_kernel` for large ones.

    Example:
        Euler's identity: f is linear in ΔW, so G w is f itself.

        >>> from ntklab.adapters import build_adapter
        >>> head = build_adapter("tt-delta", 6, 2, dtype=torch.float64)
        >>> phi = torch.randn(3, 6, dtype=torch.float64)
        >>> torch.allclose(weight_jacobian(head, phi) @ head.generate(), head(phi).reshape(-1))
        True
    """
    outputs = torch.eye(adapter.out_features, dtype=features.dtype, device=features.device)
    if isinstance(adapter, DeltaAdapter):
        return adapter.scale * torch.kron(features, outputs)
    slope, hidden, second = _layer(adapter, features)
    by_first = torch.einsum("ni,nj,jc->ncij", features, slope, second)
    by_second = torch.einsum("nj,ce->ncje", hidden, outputs)
    rows = torch.cat([by_first.flatten(2), by_second.flatten(2)], dim=2)
    return adapter.scale * rows.flatten(0, 1)


@takes_arrays
@torch.no_grad()
def weight_kernel(adapter: Adapter, features: Float[Tensor, "N d"]) -> Float[Tensor, "NC NC"]:
    """K_w = G Gᵀ without forming G (theory §3).

    s² [(ΦΦᵀ)_{nn'} Σ_j σ'_{nj} σ'_{n'j} W2_{jc} W2_{jc'} + δ_{cc'} (HHᵀ)_{nn'}], H = σ(Φ W1); for a
    direct update s² ΦΦᵀ ⊗ I.

    Args:
        adapter: as for `weight_jacobian`.
        features: φ.

    Returns:
        Shape (N·C, N·C), row index n·C + c.

    Raises:
        InputError: an adapter that is neither.

    Cost: O((N C)² M).

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> head = build_adapter("lora", 6, 2, rank=2, dtype=torch.float64)
        >>> phi = torch.randn(3, 6, dtype=torch.float64)
        >>> G = weight_jacobian(head, phi)
        >>> torch.allclose(weight_kernel(head, phi), G @ G.T)
        True
    """
    outputs = torch.eye(adapter.out_features, dtype=features.dtype, device=features.device)
    pairs = gram_matrix(features)
    if isinstance(adapter, DeltaAdapter):
        return adapter.scale**2 * torch.kron(pairs, outputs)
    slope, hidden, second = _layer(adapter, features)
    through = torch.einsum("nj,jc->ncj", slope, second).flatten(0, 1)
    shared = torch.ones_like(outputs)
    by_first = torch.kron(pairs, shared) * gram_matrix(through)
    return adapter.scale**2 * (by_first + torch.kron(gram_matrix(hidden), outputs))


def _layer(adapter: Adapter, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """σ'(φ W1), σ(φ W1) and W2."""
    if not isinstance(adapter, FactorAdapter):
        raise InputError(
            f"{adapter.method} generates neither a hidden layer nor a ΔW, so its weight space is "
            "not known: give a FactorAdapter or a DeltaAdapter."
        )
    first, second = adapter.factors()
    inner = features @ first
    return adapter.activation.derivative(inner), adapter.activation.function(inner), second
