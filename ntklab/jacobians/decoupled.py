"""Kernels that an eigenbasis of the outputs takes apart: K = S ⊗ I + S' ⊗ BBᵀ (theory §3)."""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.adapter import Decoupled
from ntklab.jacobians.engines.engine import Output
from ntklab.jacobians.symmetric import gram_matrix


def decoupled_kernel(first: Decoupled, second: Decoupled, output: Output) -> Tensor:
    """The kernel between two sets of samples, reduced over outputs as asked.

    Where `second` is `first` the kernel is its own transpose bit for bit.

    Cost: N1 N2 (k + l) multiply-adds and N1 N2 C² writes for `full`.

    Example:
        >>> features = torch.eye(2)
        >>> head = Decoupled(features, None, None, n_outputs=2)
        >>> decoupled_kernel(head, head, "full").diagonal()
        tensor([1., 1., 1., 1.])
    """
    same = second is first
    shared = gram_matrix(first.shared) if same else first.shared @ second.shared.T
    count = first.n_outputs
    if first.coupled is None or second.coupled is None or first.factor is None:
        return _expand(shared, None, None, count, output)
    coupled = gram_matrix(first.coupled) if same else first.coupled @ second.coupled.T
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
            # one of the two entries for both blocks, so that the kernel is symmetric to the bit
            weight = across[max(c, other), min(c, other)]
            block = torch.mul(coupled, weight, out=kernel[:, c, :, other])
            if c == other:
                block += shared
    return kernel.reshape(shared.shape[0] * count, -1)
