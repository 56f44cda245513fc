"""The adapted part as σ(φ A) B: two thin matrices instead of a d × V update, where there are two.

A direct update ΔW of a vocabulary holds d V numbers (28 million for SmolLM2), and autograd keeps
several of its size. TT-delta and TeRA whose modes have a boundary between inputs and outputs are
ΔW = A B with an inner width of a few dozen, so a step costs what a low-rank head costs.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from math import prod
from operator import mul

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters import Adapter, FactorAdapter, TeRA, TTDelta


def thin_terms(
    adapter: Adapter, features: Float[Tensor, "N d"]
) -> tuple[Float[Tensor, "N K"], Float[Tensor, "K V"]] | None:
    """(h, S) with the adapted part h S, differentiable by the parameters; None if it has none.

    Args:
        adapter: any; `scale` goes into S.
        features: φ.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> head, phi = build_adapter("tt-delta", 6, 20, rank=2), torch.randn(3, 6)
        >>> h, S = thin_terms(head, phi)
        >>> h.shape, torch.allclose(h @ S, head(phi), atol=1e-5)
        (torch.Size([3, 2]), True)
    """
    if isinstance(adapter, FactorAdapter):
        first, second = adapter.factors()
        return adapter.activation.function(features @ first), adapter.scale * second
    factors = thin_factors(adapter)
    return None if factors is None else (features @ factors[0], adapter.scale * factors[1])


def thin_factors(adapter: Adapter) -> tuple[Float[Tensor, "d K"], Float[Tensor, "K V"]] | None:
    """A and B with ΔW = A B of a TT-delta or TeRA cut between inputs and outputs, else None."""
    if isinstance(adapter, TTDelta):
        cut = _cut(adapter.shape.out_dims, adapter.in_features)
        return None if cut is None else _train_factors(list(adapter.cores), cut)
    if isinstance(adapter, TeRA):
        cut = _cut(adapter.dims, adapter.in_features)
        return None if cut is None else _tucker_factors(adapter, cut)
    return None


def _cut(dims: Sequence[int], in_features: int) -> int | None:
    sizes = list(accumulate(dims, mul))[:-1]
    return sizes.index(in_features) + 1 if in_features in sizes else None


def _train_factors(cores: Sequence[Tensor], cut: int) -> tuple[Tensor, Tensor]:
    return _chain(cores[:cut]), _chain(cores[cut:]).reshape(cores[cut].shape[0], -1)


def _chain(cores: Sequence[Tensor]) -> Tensor:
    """The product of cores (r, m, r') over their inner bonds, as (r_0 m_1 m_2 ⋯, r_last)."""
    done = cores[0].flatten(0, 1)
    for core in cores[1:]:
        done = (done @ core.flatten(1)).reshape(-1, core.shape[2])
    return done


def _tucker_factors(adapter: TeRA, cut: int) -> tuple[Tensor, Tensor]:
    """ΔW = a X bᵀ with a, b the Kronecker products of the scaled factors and X the core."""
    frozen, factors = adapter.frozen()
    scaled = [u * v for u, v in zip(factors, adapter.scalings, strict=True)]
    a, b = reduce(torch.kron, scaled[:cut]), reduce(torch.kron, scaled[cut:])
    core = frozen.reshape(prod(adapter.ranks[:cut]), -1)
    return (a, core @ b.T) if len(core) <= core.shape[1] else (a @ core, b.T)
