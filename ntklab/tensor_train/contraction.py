"""Contracting a tensor train: weights from cores (eq 3) and the derivative of that map."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod

import opt_einsum
from jaxtyping import Float
from torch import Tensor

from ntklab.errors import InputError
from ntklab.tensor_train.shape import TTShape

Cores = Sequence[Float[Tensor, "r n m s"]]


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


def environment(cores: Cores, latent: Float[Tensor, " z"], k: int) -> Float[Tensor, "L r n s R"]:
    """What surrounds core k: w = Σ_{a,n,b} E[l, a, n, b, r] G_k[a, n, m, b] for w[l, m, r].

    Args:
        cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k).
        latent: z, shape (Π n_k,).
        k: which core is left out, counted from 0.

    Returns:
        E, shape (m_1⋯m_{k-1}, r_{k-1}, n_k, r_k, m_{k+1}⋯m_K).

    Example:
        >>> import torch
        >>> cores = [torch.ones(1, 2, 3, 2), torch.ones(2, 1, 5, 1)]
        >>> environment(cores, torch.ones(2), 1).shape
        torch.Size([3, 2, 1, 1, 1])
    """
    in_dims = tuple(core.shape[1] for core in cores)
    shapes = tuple(tuple(core.shape) for core in cores)
    others = [core for j, core in enumerate(cores) if j != k]
    flat = _expression(shapes, without=k)(latent.reshape(in_dims), *others)
    rank, n, _, next_rank = cores[k].shape
    left = 1
    for core in cores[:k]:
        left *= core.shape[2]
    return flat.reshape(left, rank, n, next_rank, -1)


def tangent_map(cores: Cores, latent: Float[Tensor, " z"]) -> Float[Tensor, "D P"]:
    """T = ∂w/∂θ as a dense matrix, columns in core order, each core row-major (J_TT of eq 12).

    For small problems, tests and the gauge: it costs D·P numbers. The Jacobian engines contract
    the same environments without forming it.

    Args:
        cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k).
        latent: z, shape (Π n_k,).

    Returns:
        T, shape (D, P).

    Example:
        >>> import torch
        >>> cores = [torch.randn(1, 2, 3, 2), torch.randn(2, 1, 5, 1)]
        >>> z = torch.randn(2)
        >>> theta = torch.cat([core.reshape(-1) for core in cores])
        >>> torch.allclose(tangent_map(cores, z) @ theta, 2 * contract(cores, z), atol=1e-5)
        True
    """
    sizes = [core.numel() for core in cores]
    total = prod(core.shape[2] for core in cores)
    tangent = cores[0].new_zeros(total, sum(sizes))
    for k, block in enumerate(tangent.split(sizes, dim=1)):
        around = environment(cores, latent, k)
        left, rank, n, following, right = around.shape
        mode = cores[k].shape[2]
        # The core's own mode passes through: only its diagonal is filled.
        entries = block.view(left, mode, right, rank, n, mode, following)
        entries.diagonal(dim1=1, dim2=5).copy_(around.permute(0, 4, 1, 2, 3).unsqueeze(-1))
    return tangent


@lru_cache(maxsize=256)
def _expression(
    core_shapes: tuple[tuple[int, ...], ...], without: int | None = None
) -> Callable[..., Tensor]:
    """The contraction of all cores, or of all but one with that one's indices left open."""
    count = len(core_shapes)
    symbol = opt_einsum.get_symbol
    bond = [symbol(k) for k in range(count + 1)]
    mode_in = [symbol(count + 1 + k) for k in range(count)]
    mode_out = [symbol(2 * count + 1 + k) for k in range(count)]
    terms = [bond[k] + mode_in[k] + mode_out[k] + bond[k + 1] for k in range(count)]
    shapes = list(core_shapes)
    output = "".join(mode_out)
    if without is not None:
        del terms[without], shapes[without]
        open_core = bond[without] + mode_in[without] + bond[without + 1]
        output = "".join(mode_out[:without]) + open_core + "".join(mode_out[without + 1 :])
        # A boundary bond of the core left out belongs to no other term: give it one.
        terms.append(bond[0] + bond[count])
        shapes.append((1, 1))
    equation = ",".join(["".join(mode_in), *terms]) + "->" + output
    latent_shape = tuple(shape[1] for shape in core_shapes)
    expression = opt_einsum.contract_expression(equation, latent_shape, *shapes)
    if without is None:
        return expression
    return lambda *operands: expression(*operands, operands[0].new_ones(1, 1))
