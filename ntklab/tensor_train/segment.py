"""Neighbouring cores of a train, seen from what lies on their right, with cotangents first."""

from itertools import accumulate
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.tensor_train.contraction import Cores, advance, open_bond, tangent_map


class Segment:
    """Neighbouring cores of a train and the sweep over them for cotangents that come one by one.

    `adjoint_sweep` takes cotangents last and suits a few large ones; here each is small and stays
    together, so that what wrote it leaves it where it is read.

    Args:
        cores: the K cores of the segment, (r_{k-1}, n_k, m_k, r_k); none at all is a segment.
        latent: what its latent modes and those beyond it meet, n_1⋯n_K v numbers.
        left: r_0, the bond on its left, whose index stands before the modes m_k.

    Attributes:
        end: the segment contracted, (D, r_K, v).
        parameters: P, of all its cores.

    Example:
        >>> segment = Segment([torch.randn(1, 2, 3, 2)], torch.ones(2))
        >>> segment.pull_back(torch.randn(4, 3, 2), out=torch.empty(4, 12)).shape
        torch.Size([4, 12])
    """

    def __init__(self, cores: Cores, latent: Float[Tensor, " z"], *, left: int = 1) -> None:
        start = open_bond(left, latent) * latent
        *prefixes, self.end = accumulate(cores, advance, initial=start)
        self.parameters = sum(core.numel() for core in cores)
        self._tangent, self._steps = None, []
        if len(cores) > 1 and self.end.numel() * self.parameters <= _DENSE:
            self._tangent = tangent_map(cores, latent)
        else:
            self._steps = [_Step.of(*each) for each in zip(cores, prefixes, strict=True)]

    def __repr__(self) -> str:
        """The contraction of the segment."""
        return f"Segment(end={tuple(self.end.shape)}, parameters={self.parameters})"

    def pull_back(
        self, cotangent: Float[Tensor, "x D s"], *, out: Float[Tensor, "x P"]
    ) -> Float[Tensor, "x P"]:
        """Gradients by all cores for cotangents by `end`, s its right bond and open modes.

        Cost: D s P multiply-adds each as one matrix product, where those are few; else r n D s for
        the gradient by the last core and as many for what goes on to its left, which is m s times
        smaller and r n times larger.
        """
        if self._tangent is not None:
            return torch.mm(cotangent.flatten(1), self._tangent, out=out)
        # Open latent modes in front, so that sums over them and over rows are one.
        flow = cotangent.unflatten(2, self.end.shape[1:]).permute(0, 3, 1, 2)
        stop = self.parameters
        for k, step in reversed(list(enumerate(self._steps))):
            _, _, mode, following = step.core.shape
            rows = flow.reshape(len(flow), -1, mode * following)
            gradient = step.before.expand(len(flow), -1, -1).bmm(rows)
            start = stop - step.core.numel()
            out[:, start:stop] = gradient.flatten(1)
            if k > 0:
                flow = step.onward(rows.unflatten(1, (flow.shape[1], -1)))
            stop = start
        return out


# Multiply-adds a cotangent: a product runs so much faster than the sweep's few rows and columns.
_DENSE = 1 << 16


class _Step(NamedTuple):
    """A core and what lies on its left; v latent modes beyond it stay open."""

    core: Float[Tensor, "a n m b"]
    before: Float[Tensor, "1 an vl"]

    @classmethod
    def of(cls, core: Tensor, prefix: Float[Tensor, "l a nv"]) -> "_Step":
        rank, n, _, _ = core.shape
        before = prefix.unflatten(2, (n, -1)).permute(1, 2, 3, 0)
        return cls(core, before.reshape(1, rank * n, -1))

    def onward(self, rows: Float[Tensor, "x v l mb"]) -> Float[Tensor, "x nv l a"]:
        """The cotangent by what lies on the core's left."""
        rank, n, _, _ = self.core.shape
        swept = rows.flatten(0, 2) @ self.core.reshape(rank * n, -1).T
        return swept.view(*rows.shape[:3], rank, n).permute(0, 4, 1, 2, 3).flatten(1, 2)
