"""A train cut in two at one bond, so that its products need not form its weights."""

from dataclasses import dataclass, replace
from functools import reduce
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.display import ShortRepr
from ntklab.tensor_train.contraction import Cores, advance


@dataclass(frozen=True, repr=False)
class Cut(ShortRepr):
    """A train cut at one bond: w[p·Q + q] = Σ_α left[p, α] right[α, q], α = (a_k, n_{k+1}⋯n_K).

    Differentiable by cores and latent. Where Q divides the width M of a layer, its products need
    the D/Q·R entries of `left` instead of the D of w (theory P2): 32 896 instead of 526 336 for
    the released TensorGuide of width 1024.

    Attributes:
        position: k, how many cores lie on the left.
        left: shape (D/Q, R).
        right: shape (R, Q).
    """

    position: int
    left: Float[Tensor, "p R"]
    right: Float[Tensor, "R q"]

    @classmethod
    def best(cls, cores: Cores, latent: Float[Tensor, " z"], width: int = 1) -> "Cut":
        """The bond that leaves fewest entries of both parts, of those whose Q divides the width.

        The trivial bond after the last core (Q = R = 1) is always among them.

        Args:
            cores: K tensors of shape (r_{k-1}, n_k, m_k, r_k).
            latent: z, shape (Π n_k,).
            width: M.

        Example:
            >>> cores = [torch.ones(1, 1, 6, 1), torch.ones(1, 1, 4, 1)]
            >>> cut = Cut.best(cores, torch.ones(1), width=8)
            >>> cut.position, tuple(cut.left.shape), tuple(cut.right.shape)
            (1, (6, 1), (1, 4))
        """
        position = _cheapest_bond(cores, width)
        left = reduce(advance, cores[:position], latent.reshape(1, 1, -1))
        rank = left.shape[1] * left.shape[2]
        right = torch.eye(rank, dtype=latent.dtype, device=latent.device).reshape(
            rank, *left.shape[1:]
        )
        right = reduce(advance, cores[position:], right)
        return cls(position, left.reshape(-1, rank), right.reshape(rank, -1))

    def split(self, size: int) -> tuple["Cut", "Cut"]:
        """The first `size` weights and the others; Q must divide the size."""
        rows = size // self.right.shape[1]
        # One split instead of two slices: its gradient is one copy instead of two sums of zeros.
        above, below = self.left.split([rows, len(self.left) - rows])
        return replace(self, left=above), replace(self, left=below)

    def weights(self) -> Float[Tensor, " D"]:
        """w itself."""
        return (self.left @ self.right).reshape(-1)

    def times(self, features: Float[Tensor, "*N d"]) -> Float[Tensor, "*N M"]:
        """φ W for the matrix W (d, M) whose row-major entries are the weights; Q must divide M."""
        rank = self.right.shape[0]
        inner = features @ self.left.reshape(features.shape[-1], -1)
        return (inner.unflatten(-1, (-1, rank)) @ self.right).flatten(-2)

    def fold(self, weights: Float[Tensor, "s x"]) -> Float[Tensor, "t x"]:
        """Contract the trailing modes: (p·Q, x) to (p·R, x)."""
        blocks = weights.reshape(-1, self.right.shape[1], weights.shape[-1])
        return (self.right @ blocks).reshape(-1, blocks.shape[-1])


def _cheapest_bond(cores: Cores, width: int) -> int:
    total = prod(core.shape[2] for core in cores)
    sizes, trailing, latent = {len(cores): total + 1}, 1, 1
    for k in range(len(cores) - 1, 0, -1):
        trailing *= cores[k].shape[2]
        latent *= cores[k].shape[1]
        if width % trailing == 0:
            sizes[k] = cores[k].shape[0] * latent * (total // trailing + trailing)
    return min(sizes, key=lambda k: (sizes[k], -k))
