"""Kernels that an eigenbasis of the outputs takes apart: K = S ⊗ I + S' ⊗ BBᵀ (theory §3)."""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.head import Decoupled
from ntklab.jacobian.engine import Output


def decoupled_kernel(first: Decoupled, second: Decoupled, output: Output) -> Tensor:
    """The kernel between two sets of samples, reduced over outputs as asked.

    Cost: N1 N2 (k + l) multiply-adds and N1 N2 C² writes for `full`.

    Example:
        >>> features = torch.eye(2)
        >>> head = Decoupled(features, None, None, n_outputs=2)
        >>> decoupled_kernel(head, head, "full").diagonal()
        tensor([1., 1., 1., 1.])
    """
    shared = first.shared @ second.shared.T
    count = first.n_outputs
    if first.coupled is None or second.coupled is None or first.factor is None:
        return _expand(shared, None, None, count, output)
    coupled = first.coupled @ second.coupled.T
    factor = first.factor.to(shared.dtype)
    return _expand(shared, coupled, factor, count, output)


def _expand(
    shared: Float[Tensor, "n m"],
    coupled: Float[Tensor, "n m"] | None,
    factor: Float[Tensor, "C r"] | None,
    count: int,
    output: Output,
) -> Tensor:
    if coupled is None or factor is None:
        coupled, factor = torch.zeros_like(shared), shared.new_zeros(count, 1)
    if output == "trace":
        return shared + coupled * (factor.square().sum() / count)
    if output == "pseudo":
        return shared + coupled * (factor.sum(0).square().sum() / count)
    if output == "diagonal":
        return shared + coupled * factor.square().sum(1).reshape(-1, 1, 1)
    kernel = shared.new_empty(shared.shape[0], count, shared.shape[1], count)
    across = factor @ factor.T
    for c in range(count):
        for other in range(count):
            block = torch.mul(coupled, across[c, other], out=kernel[:, c, :, other])
            if c == other:
                block += shared
    return kernel.reshape(shared.shape[0] * count, -1)


def decoupled_singular_values(
    head: Decoupled,
) -> list[tuple[Float[Tensor, " k"], int]]:
    """Singular values of J in groups with their multiplicities, all outputs covered.

    For every eigenvalue β of BBᵀ the block shared sharedᵀ + β coupled coupledᵀ is the square of
    [shared, √β coupled]; the C − rank B zero eigenvalues share one block.

    Cost: at most min(r, C) + 1 singular value problems of size N × (k + l).

    Example:
        >>> head = Decoupled(torch.eye(3), None, None, n_outputs=5)
        >>> decoupled_singular_values(head)
        [(tensor([1., 1., 1.]), 5)]
    """
    if head.coupled is None or head.factor is None:
        return [(_singular_values(head.shared), head.n_outputs)]
    strengths = torch.linalg.svdvals(head.factor)
    groups = [
        (_singular_values(torch.cat([head.shared, strength * head.coupled], dim=1)), 1)
        for strength in strengths
    ]
    if (rest := head.n_outputs - len(strengths)) > 0:
        groups.append((_singular_values(head.shared), rest))
    return groups


def _singular_values(matrix: Float[Tensor, "n k"]) -> Float[Tensor, " s"]:
    # A QR step first: the triangle has the same singular values and is smaller.
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return torch.linalg.svdvals(torch.linalg.qr(tall, mode="r").R)
