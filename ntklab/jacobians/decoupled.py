"""Kernels that an eigenbasis of the outputs takes apart: K = S ⊗ I + S' ⊗ BBᵀ (theory §3)."""

from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.adapter import Decoupled
from ntklab.jacobians.engines.engine import Output
from ntklab.jacobians.symmetric import gram_matrices, mirror

# Outputs up to which a CPU writes the kernel block by block: each with a stride of C numbers, but
# with no inner loop over few outputs. A GPU would wait for the host, which reads the weights.
_BLOCKS = 4


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
    pairs = [(first.shared, second.shared)]
    if first.coupled is not None and second.coupled is not None:
        pairs.append((first.coupled, second.coupled))
    if second is first:
        shared, *coupled = gram_matrices(*(factor for factor, _ in pairs))
    else:
        shared, *coupled = [one @ other.T for one, other in pairs]
    if not coupled or first.factor is None:
        return _expand(shared, None, None, first.n_outputs, output)
    return _expand(shared, coupled[0], first.factor.to(shared.dtype), first.n_outputs, output)


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
    across = mirror(factor @ factor.T)
    if count > _BLOCKS or shared.device.type != "cpu":
        kernel = coupled[:, None, :, None] * across[:, None, :]
        kernel.diagonal(dim1=1, dim2=3).add_(shared[:, :, None])
    else:
        kernel = shared.new_empty(shared.shape[0], count, shared.shape[1], count)
        weights = across.tolist()
        for c, other in product(range(count), repeat=2):
            block = kernel[:, c, :, other]
            if c == other:
                torch.add(shared, coupled, alpha=weights[c][c], out=block)
            else:
                torch.mul(coupled, weights[c][other], out=block)
    return kernel.reshape(shared.shape[0] * count, -1)
