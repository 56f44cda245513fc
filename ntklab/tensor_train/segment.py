"""Neighbouring cores of a train, seen from what lies on their right, with cotangents first."""

from functools import cached_property, reduce
from itertools import accumulate

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
        prefixes = accumulate(cores[:-1], advance, initial=start)
        self.end = reduce(advance, cores, start)
        self.parameters = sum(core.numel() for core in cores)
        self._tangent, self._steps = None, []
        if len(cores) > 1 and self.end.numel() * self.parameters <= _DENSE:
            self._tangent = tangent_map(cores, latent)
        else:
            self._steps = [_Step(*each) for each in zip(cores, prefixes, strict=False)]

    def pull_back(
        self, cotangent: Float[Tensor, "x D s"], *, out: Float[Tensor, "x P"]
    ) -> Float[Tensor, "x P"]:
        """Gradients by all cores for cotangents by `end`, s its right bond and open modes.

        Cost: D s P multiply-adds each as one matrix product, where those are few; else r n v D s
        for the gradient by the last core and as many for what goes on to its left, which is m times
        smaller.
        """
        if self._tangent is not None:
            return torch.mm(cotangent.flatten(1), self._tangent, out=out)
        stop = self.parameters
        for k, step in reversed(list(enumerate(self._steps))):
            start = stop - step.parameters
            step.gradient(cotangent, out=out[:, start:stop])
            if k > 0:
                cotangent = step.onward(cotangent)
            stop = start
        return out


# Multiply-adds a cotangent: a product runs so much faster than the sweep's few rows and columns.
_DENSE = 1 << 16


class _Step:
    """A core behind what lies on its left; v latent modes beyond it stay open."""

    def __init__(self, core: Tensor, prefix: Float[Tensor, "l a nv"]) -> None:
        self.parameters, self._core = core.numel(), core
        self._before = (
            prefix.unflatten(2, (core.shape[1], -1)).permute(1, 2, 3, 0).flatten(0, 1)
        )  # an, v, l

    def gradient(
        self, cotangent: Float[Tensor, "x lm bv"], *, out: Float[Tensor, "x anmb"]
    ) -> None:
        """By the core."""
        inner, beyond, length = self._before.shape
        rows = cotangent.reshape(len(cotangent), length, -1)
        gradient = out.unflatten(1, (inner, -1))
        if length == 1:
            by_mode = rows.reshape(-1, beyond) @ self._before.squeeze(2).T
            gradient.copy_(by_mode.view(len(rows), -1, inner).mT)
            return
        before = self._before.reshape(1, -1, length).expand(len(rows), -1, -1)
        crossed = before.bmm(rows).unflatten(2, (-1, beyond)).unflatten(1, (inner, beyond))
        gradient.copy_(crossed[:, :, 0, :, 0])
        for v in range(1, beyond):
            gradient += crossed[:, :, v, :, v]

    def onward(self, cotangent: Float[Tensor, "x lm bv"]) -> Float[Tensor, "x l anv"]:
        """The cotangent by what lies on its left."""
        return cotangent.reshape(len(cotangent), self._before.shape[2], -1) @ self._through

    @cached_property
    def _through(self) -> Float[Tensor, "mbv anv"]:
        open_modes = torch.eye(self._before.shape[1], dtype=self._core.dtype)
        open_modes = open_modes.to(self._core.device)
        matrix = torch.einsum("anmb,vw->mbvanw", self._core, open_modes)
        return matrix.flatten(3).flatten(0, 2)
