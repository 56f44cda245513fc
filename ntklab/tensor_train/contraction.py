"""Contracting a tensor train: weights from cores (eq 3) and the derivative of that map."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from math import prod

import opt_einsum
import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.errors import InputError
from ntklab.tensor_train.shape import TTShape

Cores = Sequence[Float[Tensor, "r n m s"]]


@takes_arrays
def shape_of(cores: Cores) -> TTShape:
    """The `TTShape` of given cores.

    >>> import torch
    >>> str(shape_of([torch.ones(1, 2, 3, 2), torch.ones(2, 1, 5, 1)]))
    'in [2,1] out [3,5] ranks [1,2,1]'
    """
    if any(core.ndim != 4 for core in cores):
        shapes = [tuple(core.shape) for core in cores]
        raise InputError(f"cores must have shape (r, n, m, r'), but they are {shapes}.")
    return TTShape(
        tuple(core.shape[1] for core in cores),
        tuple(core.shape[2] for core in cores),
        (cores[0].shape[0], *(core.shape[3] for core in cores)),
    )


@takes_arrays
def contract(cores: Cores, latent: Float[Tensor, " z"]) -> Float[Tensor, " D"]:
    """Weights of a train: w[m_1..m_K] = Σ_n z[n_1..n_K] Π_k G_k[a_{k-1}, n_k, m_k, a_k] (eq 3).

    The order of contraction is found once a shape by opt_einsum and reused; differentiable and
    composable with `torch.func`.

    Args:
        cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k), r_0 = r_K = 1.
        latent: z, shape (Π n_k,), row-major over its modes.

    Returns:
        w, shape (D,) with D = Π m_k, row-major.

    Cost: about D r_{K-1} multiply-adds for the last core, which dominates.

    Example:
        >>> import torch
        >>> cores = [torch.ones(1, 2, 3, 2), torch.ones(2, 1, 5, 1)]
        >>> contract(cores, torch.tensor([1.0, 2.0]))[:4]
        tensor([6., 6., 6., 6.])
    """
    in_dims = tuple(core.shape[1] for core in cores)
    expression = _expression(tuple(tuple(core.shape) for core in cores))
    return expression(latent.reshape(in_dims), *cores).reshape(-1)


def advance(prefix: Float[Tensor, "l a v"], core: Tensor) -> Float[Tensor, "lm b w"]:
    """Take one more core into a prefix, using up its latent mode.

    By matrix products alone: at these sizes an einsum costs more than its arithmetic.
    """
    rank, n, m, following = core.shape
    rows, beyond = len(prefix), prefix.shape[2] // n
    matrix = core.reshape(rank * n, m * following)
    if beyond == 1:
        return (prefix.reshape(rows, rank * n) @ matrix).reshape(rows * m, following, 1)
    open_last = prefix.reshape(rows, rank * n, beyond).transpose(1, 2).reshape(-1, rank * n)
    blocks = (open_last @ matrix).reshape(rows, beyond, m, following)
    return blocks.permute(0, 2, 3, 1).reshape(rows * m, following, beyond)


@takes_arrays
def tangent_map(cores: Cores, latent: Float[Tensor, " z"]) -> Float[Tensor, "D P"]:
    """T = ∂w/∂θ as a dense matrix, columns in core order, each core row-major (J_TT of eq 12).

    For small problems, tests and the gauge: it costs D·P numbers. The Jacobian engines contract
    what surrounds a core without forming it. Of some neighbouring cores of a train w has an index
    for the bond on their left, in front, and for the bond and the latent modes beyond their right,
    behind.

    Args:
        cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k).
        latent: z, shape (Π n_k · v,); v = 1 for a whole train.

    Returns:
        T, shape (D, P), D = r_0 Π m_k r_K v.

    Example:
        >>> import torch
        >>> cores = [torch.randn(1, 2, 3, 2), torch.randn(2, 1, 5, 1)]
        >>> z = torch.randn(2)
        >>> theta = torch.cat([core.reshape(-1) for core in cores])
        >>> torch.allclose(tangent_map(cores, z) @ theta, 2 * contract(cores, z), atol=1e-5)
        True
    """
    first, last = cores[0].shape[0], cores[-1].shape[3]
    prefixes = accumulate(cores[:-1], advance, initial=open_bond(first, latent) * latent)
    beyond = latent.numel() // prod(core.shape[1] for core in cores)
    total = first * prod(core.shape[2] for core in cores) * last * beyond
    sizes = [core.numel() for core in cores]
    tangent = latent.new_zeros(total, sum(sizes))
    suffix = open_bond(last, latent).reshape(last, 1, 1, last)  # bond, latent, out, last bond
    for core, prefix, block in reversed(
        list(zip(cores, prefixes, tangent.split(sizes, dim=1), strict=True))
    ):
        rank, n, mode, following = core.shape
        around = torch.einsum(
            "lanxv,bxRs->lRsvanb", prefix.reshape(-1, rank, n, suffix.shape[1], beyond), suffix
        )
        # The core's own mode passes through: only its diagonal is filled.
        right = suffix.shape[2]
        entries = block.view(-1, mode, right, last, beyond, rank, n, mode, following)
        entries.diagonal(dim1=1, dim2=7).copy_(around.unsqueeze(-1))
        suffix = torch.einsum("anmb,bxRs->anxmRs", core, suffix)
        suffix = suffix.reshape(rank, -1, mode * right, last)
    return tangent


def open_bond(rank: int, like: Tensor) -> Float[Tensor, "r r 1"]:
    """An identity: a bond whose index stands before the modes of the cores on its right."""
    return torch.eye(rank, dtype=like.dtype, device=like.device).unsqueeze(-1)


@lru_cache(maxsize=256)
def _expression(core_shapes: tuple[tuple[int, ...], ...]) -> Callable[..., Tensor]:
    """The contraction of all cores."""
    count = len(core_shapes)
    symbol = opt_einsum.get_symbol
    bond = [symbol(k) for k in range(count + 1)]
    mode_in = [symbol(count + 1 + k) for k in range(count)]
    mode_out = [symbol(2 * count + 1 + k) for k in range(count)]
    terms = [bond[k] + mode_in[k] + mode_out[k] + bond[k + 1] for k in range(count)]
    equation = ",".join(["".join(mode_in), *terms]) + "->" + "".join(mode_out)
    latent_shape = tuple(shape[1] for shape in core_shapes)
    return opt_einsum.contract_expression(equation, latent_shape, *core_shapes)
