"""Rows of J for a hidden layer σ(φ W1) W2 whose weights a tensor train generates.

Output c of a sample has the cotangent φ ⊗ (W2[:, c] σ') by W1, which is rank one, and σ ⊗ e_c by
W2. The train is cut at a bond whose trailing modes, Q in all, divide M and M C (theory P2): hidden
unit j = g Q + q sees h_j = Σ_α F[g, α] right[α, q], F = φ left. What is left of a cotangent at the
cut, a number for each group g and bond index α, meets the last leading core by shifts
(`ntklab.tensor_train.ShiftedCore`).

Index names: n sample, c output, g group of hidden units, q place within it, α bond of the cut.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.activation import Activation
from ntklab.tensor_train import Cut, Segment, ShiftedCore, pull_back_layer, shifts_pay
from ntklab.tensor_train.contraction import Cores
from ntklab.tensor_train.pullback import BLOCK_BYTES
from ntklab.threads import alone, side_by_side

#: Bytes that a thread holds at a time: less costs more calls, more leaves the second-level cache
#: (`ntklab bench --case block-size` measures other sizes).
CACHE_BYTES = 4 << 20


def layer_rows(
    cores: Cores,
    latent: Float[Tensor, " z"],
    cut: Cut,
    features: Float[Tensor, "n d"],
    second: Float[Tensor, "M C"],
    activation: Activation,
    scale: float,
    held_bytes: int = CACHE_BYTES,
) -> Float[Tensor, "n C P"]:
    """∂/∂cores of scale · σ(φ W1) W2 for a batch of samples.

    Args:
        cores: K tensors (r_{k-1}, n_k, m_k, r_k) that generate [vec W1; vec W2], or vec W1 alone
            when Π m_k = d M.
        latent: z, shape (Π n_k,).
        cut: `Cut.best` of the train for the width M.
        features: φ.
        second: W2.
        activation: σ.
        scale: of the outputs.
        held_bytes: what a thread may hold of its samples at a time, where they go by shifts; one
            sample at least.

    Returns:
        Parameters in the order of the cores, each flattened row-major.

    Cost: see `ShiftedCore` and `pull_back_layer`; which of the two is taken depends on sizes and
    device. For a collapsed width and a homogeneous σ nothing grows with M but with M/Q.

    Example:
        >>> from ntklab.adapters.activation import activation_named
        >>> cores = [torch.randn(1, 1, 6, 2), torch.randn(2, 1, 5, 1)]
        >>> z, features, second = torch.ones(1), torch.randn(3, 4), torch.randn(5, 2)
        >>> relu, cut = activation_named("relu"), Cut.best(cores, z, width=5)
        >>> layer_rows(cores, z, cut, features, second, relu, scale=1.0).shape
        torch.Size([3, 2, 22])
    """
    if shifts_pay(cores, cut, features, second):
        with alone() as threads:
            layer = _ShiftedLayer(cores, latent, cut, features.shape, second, activation, scale)
            return layer.rows(features, threads, held_bytes)
    above = cut.split(features.shape[1] * len(second))[0]
    preactivation = above.times(features).T.contiguous()
    slope, hidden = activation.derivative(preactivation), activation.function(preactivation)
    found = pull_back_layer(cores, latent, features.T.contiguous(), slope, hidden, second)
    found *= scale
    # A transposed matrix is copied by tiles; the same permutation of three axes is not.
    by_output = found.flatten(1).T.contiguous().unflatten(0, found.shape[1:])
    return by_output.transpose(0, 1).contiguous()


class _ShiftedLayer:
    """A layer with all that its samples share."""

    def __init__(
        self,
        cores: Cores,
        latent: Tensor,
        cut: Cut,
        batch: torch.Size,
        second: Tensor,
        activation: Activation,
        scale: float,
    ) -> None:
        *before, core = cores[: cut.position]
        features = batch[1]
        width, self.outputs = second.shape
        above, below = cut.split(features * width)
        rank, trailing = cut.right.shape
        groups = width // trailing
        self.projection = above.left.reshape(features, -1)
        # Every gradient is linear in W2 or, by W2, in the cores on one side of the cut.
        weights = scale * second.reshape(groups, trailing, self.outputs)
        under = _Below(below, weights.shape, scale) if len(below.left) else None
        after = Segment(cores[cut.position :], latent.new_ones(1), left=rank)
        self.units = _units_for(activation, rank)(cut.right, weights, activation, under, after)
        self.before = Segment(before, latent)
        self.core = ShiftedCore(
            self.before.end.flatten(1),
            core.flatten(0, 1),
            blocks=features,
            size=groups,
            tail=len(below.left),
        )
        self.sizes = self.before.parameters, core.numel(), after.parameters

    def rows(
        self, features: Float[Tensor, "n d"], threads: int, held_bytes: int
    ) -> Float[Tensor, "n C P"]:
        """For all samples, block by block."""
        rows = features.new_empty(len(features), self.outputs, sum(self.sizes))

        def fill(block: tuple[int, int]) -> None:
            part, here = features[slice(*block)], rows[slice(*block)]
            flat, first = here.flatten(0, 1), self.sizes[0]
            through = self.units.at(part @ self.projection)
            cotangent = self.core.meet(part, through.filters, through.tail, here, first)
            self.before.pull_back(cotangent.flatten(0, 1), out=flat[:, :first])
            flat[:, sum(self.sizes[:2]) :] = through.by_trailing

        of_each = self.core.bytes_per_sample(self.outputs, features.element_size())
        most = min(held_bytes, BLOCK_BYTES // threads) // of_each
        threads = min(threads, -(-len(features) // _WORTH_A_THREAD))
        side_by_side(threads, _blocks(len(features), threads, most), fill)
        return rows


_WORTH_A_THREAD = 16  # samples


def _blocks(samples: int, threads: int, most: int) -> list[tuple[int, int]]:
    """Blocks of about equal size, as many for every thread, with no more than `most` samples."""
    if samples == 0:
        return []
    rounds = -(-samples // (threads * max(most, 1)))
    count = min(samples, threads * rounds)
    return list(pairwise(samples * k // count for k in range(count + 1)))


class _Through(NamedTuple):
    """What is left of the cotangents on either side of the cut."""

    filters: Float[Tensor, "n C α g"]  # one for all samples where they share it
    tail: Float[Tensor, "n C α gC"]
    by_trailing: Float[Tensor, "nC P"]


class _Below:
    """W2's share of a cotangent: entry (j, c') of σ ⊗ e_c lies in row j C + c' of Q numbers.

    A group of Q hidden units fills C such rows, t.
    """

    def __init__(self, below: Cut, shape: torch.Size, scale: float) -> None:
        groups, places, self.outputs = shape
        left, right = scale * below.left, scale * below.right
        numbers = torch.arange(places * self.outputs)
        q, c = numbers // self.outputs, numbers % self.outputs
        t, place = numbers // places, numbers % places
        self.left = left.reshape(groups, self.outputs, len(right))
        self.fold = right.new_zeros(places, self.outputs, len(right), self.outputs)
        self.fold[q, c, :, t] = right.T[place]
        self._source, self._goal = q * self.outputs + t, c * places + place

    def tail(self, hidden: Float[Tensor, "x q"]) -> Float[Tensor, "x C α t"]:
        """σ ⊗ e_c of one group with the trailing cores contracted."""
        return (hidden @ self.fold.flatten(1)).unflatten(1, self.fold.shape[1:])

    def trailing(self, summed: Float[Tensor, "n α q t"]) -> Float[Tensor, "n C α q"]:
        """Σ_p left[p, α] (σ ⊗ e_c)[p, q], from Σ_g left[g, t, α] σ[g, q]."""
        found = torch.zeros_like(summed).flatten(2)
        found.index_add_(2, self._goal, summed.flatten(2)[..., self._source])
        return found.unflatten(2, (self.outputs, -1)).transpose(1, 2)


@dataclass
class _Units(ABC):
    """The hidden units between the cut and the outputs."""

    right: Float[Tensor, "α q"]
    weights: Float[Tensor, "g q c"]
    activation: Activation
    below: _Below | None
    after: Segment

    @abstractmethod
    def __post_init__(self) -> None:
        """What depends on the train alone, which threads share."""

    @abstractmethod
    def at(self, projected: Float[Tensor, "n gα"]) -> _Through:
        """From F."""

    def _pull_back(self, trailing: Float[Tensor, "n C α q"]) -> Float[Tensor, "nC P"]:
        """Gradients by the trailing cores."""
        cotangent = trailing.flatten(2).flatten(0, 1).unsqueeze(2)
        out = cotangent.new_empty(len(cotangent), self.after.parameters)
        return self.after.pull_back(cotangent, out=out)


class _Neurons(_Units):
    """Each by itself: any σ, any rank."""

    def __post_init__(self) -> None:
        folded = torch.einsum("aq,gqc->gqca", self.right, self.weights)
        self._folded = folded.flatten(2)

    def at(self, projected: Float[Tensor, "n gα"]) -> _Through:
        samples, rank = len(projected), len(self.right)
        groups, places, outputs = self.weights.shape
        projected = projected.unflatten(1, (groups, rank))
        preactivation = projected @ self.right
        slope = self.activation.derivative(preactivation)
        filters = (slope.transpose(0, 1) @ self._folded).permute(1, 2, 0)
        sloped = projected.unsqueeze(3) * slope.unsqueeze(2)
        trailing = torch.einsum("ngaq,gqc->ncaq", sloped, self.weights)
        tail = projected.new_empty(samples, outputs, rank, 0)
        if self.below is not None:
            hidden = self.activation.function(preactivation)
            tail = self.below.tail(hidden.reshape(-1, places)).unflatten(0, (samples, groups))
            tail = tail.permute(0, 2, 3, 1, 4).flatten(3)
            summed = torch.einsum("gta,ngq->naqt", self.below.left, hidden)
            trailing = trailing + self.below.trailing(summed.contiguous())
        return _Through(filters.unflatten(1, (outputs, rank)), tail, self._pull_back(trailing))


class _Linear(_Units):
    """σ = identity: the filters are the same for all samples, and all else is linear in F.

    It is taken at the M R/Q unit vectors of F.
    """

    def __post_init__(self) -> None:
        self._filters = torch.einsum("aq,gqc->cag", self.right, self.weights).unsqueeze(0)
        rank, (groups, _, outputs) = len(self.right), self.weights.shape
        bonds = torch.eye(rank, dtype=self.right.dtype)
        self._tails = self.weights.new_empty(rank, outputs, rank, 0)
        trailing = torch.einsum("gqc,ab->gbcaq", self.weights, bonds)
        if self.below is not None:
            self._tails = self.below.tail(self.right)
            summed = torch.einsum("gta,bq->gbaqt", self.below.left, self.right)
            trailing = trailing + self.below.trailing(summed.flatten(0, 1)).view_as(trailing)
        by_unit = self._pull_back(trailing.flatten(0, 1))
        self._by_trailing = by_unit.reshape(groups * rank, -1)

    def at(self, projected: Float[Tensor, "n gα"]) -> _Through:
        samples, groups = len(projected), len(self.weights)
        tail = projected.reshape(-1, len(self.right)) @ self._tails.flatten(1)
        tail = tail.view(samples, groups, *self._tails.shape[1:])
        by_trailing = projected @ self._by_trailing
        by_trailing = by_trailing.reshape(samples * tail.shape[2], -1)
        return _Through(self._filters, tail.permute(0, 2, 3, 1, 4).flatten(3), by_trailing)


class _Signs(_Units):
    """By the sign of F alone: a homogeneous σ behind a bond of rank 1, where h = F u, u = right.

    With F = F⁺ − F⁻, σ(F u) = F⁺ σ(u) + F⁻ σ(−u), and σ'(F u) is σ'(u), σ'(−u) or σ'(0). So a
    filter is one of three, and all else is linear in (F⁺, F⁻) and taken at its 2 M/Q unit vectors.
    """

    def __post_init__(self) -> None:
        right, groups, outputs = self.right, len(self.weights), self.weights.shape[2]
        unit = torch.cat([right, -right, 0 * right])
        slopes, hidden = self.activation.derivative(unit), self.activation.function(unit[:2])
        folded = self.weights.transpose(1, 2).flatten(0, 1) @ (slopes * right).T  # (g c, sign)
        self._filters = folded.unflatten(0, (groups, outputs)).permute(2, 1, 0).contiguous()
        self._tails = self.weights.new_empty(2, outputs, 0)  # sign, C, t
        if self.below is not None:
            self._tails = self.below.tail(hidden).squeeze(2)
        by_unit = self._pull_back(self._trailing(slopes, hidden))
        self._by_trailing = by_unit.reshape(2 * groups, -1)

    def at(self, projected: Float[Tensor, "n g"]) -> _Through:
        from ntklab.adapters.compiled import by_signs  # numba takes a while to import

        samples, groups = projected.shape
        outputs, rows = self._tails.shape[1:]
        filters = projected.new_empty(samples, outputs, 1, groups)
        tail = projected.new_empty(samples, outputs, 1, groups * rows)
        sizes = projected.new_empty(samples, 2 * groups)
        goals = filters.squeeze(2), sizes, tail.squeeze(2)
        by_signs(*(each.numpy() for each in (projected, self._filters, self._tails, *goals)))
        by_trailing = (sizes @ self._by_trailing).reshape(samples * outputs, -1)
        return _Through(filters, tail, by_trailing)

    def _trailing(self, slopes: Tensor, hidden: Tensor) -> Float[Tensor, "2g C 1 q"]:
        """Σ_g F± σ' W2 and W2's share, at the unit vectors of (F⁺, F⁻)."""
        by_unit = self.weights.permute(0, 2, 1)  # g, c, q
        trailing = torch.cat([slopes[0] * by_unit, -slopes[1] * by_unit]).unsqueeze(2)
        if self.below is None:
            return trailing
        left = self.below.left.squeeze(2)  # g, t
        summed = hidden[:, None, :, None] * left[:, None, :]  # sign, g, q, t
        return trailing + self.below.trailing(summed.flatten(0, 1).unsqueeze(1))


def _units_for(activation: Activation, rank: int) -> type[_Units]:
    if activation.linear:
        return _Linear
    return _Signs if rank == 1 and activation.homogeneous else _Neurons
