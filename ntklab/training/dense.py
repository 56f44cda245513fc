"""A dense head of two factors, all of whose entries are trained: what generated heads replace."""

import math

import torch
from torch import Generator, Tensor, nn

from ntklab.host_memory import refuse_beyond_memory


class DenseHead(nn.Module):
    """f = σ(φ V1/√d) V2/M, all entries of V1 and V2 trained from N(0, 1): W1 = V1/√d, W2 = V2/M.

    The factor 1/M is the mean-field one, under which Adam with one and the same rate moves every
    width alike (Yang and Hu 2021), so that curves over M compare widths and not learning rates.

    Args:
        in_features: d.
        out_features: C.
        width: M.
        linear: whether σ is the identity instead of ReLU.
        generator: of the start.

    Raises:
        InputError: W1 alone would not fit into memory.

    Example:
        >>> head = DenseHead(4, 2, 8)
        >>> head(torch.ones(3, 4)).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        width: int,
        *,
        linear: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        refuse_beyond_memory("a layer", in_features, width, itemsize=4)
        self.linear, self.width = linear, width
        self.first = nn.Parameter(torch.randn(in_features, width, generator=generator))
        self.second = nn.Parameter(torch.randn(width, out_features, generator=generator))

    def forward(self, features: Tensor) -> Tensor:
        """Outputs (N, C)."""
        hidden = features @ self.first / math.sqrt(len(self.first))
        return (hidden if self.linear else hidden.relu()) @ self.second / self.width

    def balanced(self) -> tuple[Tensor, Tensor]:
        """W1 and W2 in float64 with f = σ(φ W1) W2 and ‖W1‖_F = ‖W2‖_F: the same function.

        ε_TT depends on how a function's scale is shared between the factors (theory, eq 8); equal
        norms are the one choice that takes no side.
        """
        first = self.first.detach().cpu().double() / math.sqrt(len(self.first))
        second = self.second.detach().cpu().double() / self.width
        move = (second.norm() / first.norm()).sqrt()
        return first * move, second / move
