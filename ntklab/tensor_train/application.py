"""Applying a train to vectors core by core, without forming the matrix that it stands for.

The way of arXiv 2408.01008: a matrix (d × C) whose modes are cut between rows and columns acts on
a vector of d entries one core after another.
"""

from collections.abc import Sequence
from math import prod

from jaxtyping import Float
from torch import Tensor

from ntklab.errors import InputError
from ntklab.tensor_train.shape import TTShape


def apply_train(
    cores: Sequence[Float[Tensor, "r m s"]], features: Float[Tensor, "N d"]
) -> Float[Tensor, "N C"]:
    """φ W for W = TT(G), vec W row-major: W[(i_1..i_a), (j_1..j_b)] = G_1[i_1] ⋯ G_K[j_b].

    Args:
        cores: K tensors of shape (r_{k-1}, m_k, r_k), r_0 = r_K = 1; the first ones' modes
            multiply to d.
        features: φ; differentiable in both arguments.

    Returns:
        Outputs, C the product of the remaining modes.

    Raises:
        InputError: if no bond lies between d row modes and the rest.

    Cost: `application_macs` multiply-adds a row, and as many numbers as the largest intermediate.

    Example:
        >>> import torch
        >>> cores = [torch.ones(1, 2, 3), torch.ones(3, 2, 2), torch.ones(2, 5, 1)]
        >>> apply_train(cores, torch.ones(7, 4)).shape
        torch.Size([7, 5])
    """
    cut = _cut([core.shape[1] for core in cores], features.shape[1])
    rows = features.shape[0]
    # (N, r m, entries still to be summed): each core sums its own mode.
    state = features.reshape(rows, 1, -1)
    for core in cores[:cut]:
        left, mode, right = core.shape
        state = core.reshape(left * mode, right).T @ state.reshape(rows, left * mode, -1)
    state = state.reshape(rows, 1, -1)
    for core in cores[cut:]:
        left, mode, right = core.shape
        state = (state @ core.reshape(left, mode * right)).reshape(rows, -1, right)
    return state.reshape(rows, -1)


def application_macs(shape: TTShape, in_features: int) -> int:
    """Multiply-adds of `apply_train` a row.

    Args:
        shape: a plain train.
        in_features: d, the product of the first modes.

    Raises:
        InputError: as `apply_train`.

    Example:
        >>> application_macs(TTShape.plain((4, 4, 2), (1, 3, 2, 1)), 16)
        76
    """
    modes, ranks = shape.out_dims, shape.ranks
    cut = _cut(modes, in_features)
    cores = [prod(size) for size in zip(ranks, modes, ranks[1:], strict=False)]
    ahead = (core * prod(modes[k + 1 : cut]) for k, core in enumerate(cores[:cut]))
    behind = (core * prod(modes[cut:k]) for k, core in enumerate(cores[cut:], start=cut))
    return sum(ahead) + sum(behind)


def _cut(modes: Sequence[int], in_features: int) -> int:
    for k in range(1, len(modes)):
        if prod(modes[:k]) == in_features:
            return k
    raise InputError(
        f"modes {list(modes)} have no bond between {in_features} rows and the columns: give modes "
        "whose first ones multiply to the number of rows."
    )
