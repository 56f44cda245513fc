"""The hidden units of a layer whose train is cut behind them: from F = φ left to what is met there.

Hidden unit j = g Q + q sees h_j = Σ_α F[g, α] right[α, q]. Output c of a sample has the cotangent
W2[:, c] σ'(h) by h and σ(h) ⊗ e_c by W2; contracted with the cores behind the cut they leave a
filter, which the outer product with φ spreads over W1's rows, and a tail, W2's own rows.

Index names: n sample, c output, g group of hidden units, q place within it, α bond of the cut, t
row of Q numbers that W2's entries for a group fill.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.activation import Activation
from ntklab.tensor_train import Cut, Segment


class Through(NamedTuple):
    """The cotangents on either side of the cut.

    Attributes:
        filters: of one sample, if all share them.
        tail: W2's rows behind the blocks φ ⊗ filter.
        by_trailing: gradients by the trailing cores.
    """

    filters: Float[Tensor, "n C α g"]
    tail: Float[Tensor, "n C α gt"]
    by_trailing: Float[Tensor, "nC P"]


class SecondShare:
    """W2's share of a cotangent: entry (j, c') of σ ⊗ e_c lies in row j C + c' of Q numbers.

    A group of Q hidden units fills C such rows, t.
    """

    def __init__(self, below: Cut, shape: torch.Size, scale: float) -> None:
        groups, places, self.outputs = shape
        left, right = scale * below.left, scale * below.right
        (q, c), (t, place) = _entries(places, self.outputs)
        self.left = left.reshape(groups, self.outputs, len(right))
        self.fold = right.new_zeros(places, self.outputs, len(right), self.outputs)
        self.fold[q, c, :, t] = right.T[place]
        self._source, self._goal = q * self.outputs + t, c * places + place

    def tail(self, hidden: Float[Tensor, "x q"]) -> Float[Tensor, "x C α t"]:
        """σ ⊗ e_c of one group with the trailing cores contracted."""
        return (hidden @ self.fold.flatten(1)).unflatten(1, self.fold.shape[1:])

    def trailing(self, summed: Float[Tensor, "n α q t"]) -> Float[Tensor, "n C α q"]:
        """Σ_p left[p, α] (σ ⊗ e_c)[p, q], from Σ_g left[g, t, α] σ[g, q]."""
        gathered = torch.zeros_like(summed).flatten(2)
        gathered.index_add_(2, self._goal, summed.flatten(2)[..., self._source])
        return gathered.unflatten(2, (self.outputs, -1)).transpose(1, 2)


@lru_cache(maxsize=16)
def _entries(places: int, outputs: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Place and output, and row and column, of the numbers of a group in W2."""
    numbers = torch.arange(places * outputs)
    return (numbers // outputs, numbers % outputs), (numbers // places, numbers % places)


@dataclass
class Units(ABC):
    """The hidden units between the cut and the outputs."""

    right: Float[Tensor, "α q"]
    weights: Float[Tensor, "g q c"]
    activation: Activation
    share: SecondShare | None
    after: Segment

    @abstractmethod
    def __post_init__(self) -> None:
        """The part that depends on the train alone; threads share it."""

    @abstractmethod
    def at(self, projected: Float[Tensor, "n gα"]) -> Through:
        """From F."""

    def _pull_back(self, trailing: Float[Tensor, "n C α q"]) -> Float[Tensor, "nC P"]:
        """Gradients by the trailing cores."""
        cotangent = trailing.flatten(2).flatten(0, 1).unsqueeze(2)
        out = cotangent.new_empty(len(cotangent), self.after.parameters)
        return self.after.pull_back(cotangent, out=out)


class _Neurons(Units):
    """Each by itself: any σ, any rank."""

    def __post_init__(self) -> None:
        folded = torch.einsum("aq,gqc->gqca", self.right, self.weights)
        self._folded = folded.flatten(2)

    def at(self, projected: Float[Tensor, "n gα"]) -> Through:
        samples, rank = len(projected), len(self.right)
        groups, places, outputs = self.weights.shape
        projected = projected.unflatten(1, (groups, rank))
        preactivation = projected @ self.right
        slope = self.activation.derivative(preactivation)
        filters = (slope.transpose(0, 1) @ self._folded).permute(1, 2, 0)
        sloped = projected.unsqueeze(3) * slope.unsqueeze(2)
        trailing = torch.einsum("ngaq,gqc->ncaq", sloped, self.weights)
        tail = projected.new_empty(samples, outputs, rank, 0)
        if self.share is not None:
            hidden = self.activation.function(preactivation)
            tail = self.share.tail(hidden.reshape(-1, places)).unflatten(0, (samples, groups))
            tail = tail.permute(0, 2, 3, 1, 4).flatten(3)
            summed = torch.einsum("gta,ngq->naqt", self.share.left, hidden)
            trailing = trailing + self.share.trailing(summed.contiguous())
        return Through(filters.unflatten(1, (outputs, rank)), tail, self._pull_back(trailing))


class _Linear(Units):
    """σ = identity: the filters are the same for all samples, and all else is linear in F.

    It is taken at the M R/Q unit vectors of F.
    """

    def __post_init__(self) -> None:
        self._filters = torch.einsum("aq,gqc->cag", self.right, self.weights).unsqueeze(0)
        rank, (groups, _, outputs) = len(self.right), self.weights.shape
        bonds = torch.eye(rank, dtype=self.right.dtype)
        self._tails = self.weights.new_empty(rank, outputs, rank, 0)
        trailing = torch.einsum("gqc,ab->gbcaq", self.weights, bonds)
        if self.share is not None:
            self._tails = self.share.tail(self.right)
            summed = torch.einsum("gta,bq->gbaqt", self.share.left, self.right)
            trailing = trailing + self.share.trailing(summed.flatten(0, 1)).view_as(trailing)
        by_unit = self._pull_back(trailing.flatten(0, 1))
        self._by_trailing = by_unit.reshape(groups * rank, -1)

    def at(self, projected: Float[Tensor, "n gα"]) -> Through:
        samples, groups = len(projected), len(self.weights)
        tail = projected.reshape(-1, len(self.right)) @ self._tails.flatten(1)
        tail = tail.view(samples, groups, *self._tails.shape[1:])
        by_trailing = projected @ self._by_trailing
        by_trailing = by_trailing.reshape(samples * tail.shape[2], -1)
        return Through(self._filters, tail.permute(0, 2, 3, 1, 4).flatten(3), by_trailing)


class _Signs(Units):
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
        if self.share is not None:
            self._tails = self.share.tail(hidden).squeeze(2)
        by_unit = self._pull_back(self._trailing(slopes, hidden))
        self._by_trailing = by_unit.reshape(2 * groups, -1)

    def at(self, projected: Float[Tensor, "n g"]) -> Through:
        from ntklab.adapters.compiled import by_signs  # numba takes a while to import

        samples, groups = projected.shape
        outputs, rows = self._tails.shape[1:]
        filters = projected.new_empty(samples, outputs, 1, groups)
        tail = projected.new_empty(samples, outputs, 1, groups * rows)
        sizes = projected.new_empty(samples, 2 * groups)
        goals = filters.squeeze(2), sizes, tail.squeeze(2)
        by_signs(*(each.numpy() for each in (projected, self._filters, self._tails, *goals)))
        by_trailing = (sizes @ self._by_trailing).reshape(samples * outputs, -1)
        return Through(filters, tail, by_trailing)

    def _trailing(self, slopes: Tensor, hidden: Tensor) -> Float[Tensor, "2g C 1 q"]:
        """Σ_g F± σ' W2 and W2's share, at the unit vectors of (F⁺, F⁻)."""
        by_unit = self.weights.permute(0, 2, 1)  # g, c, q
        trailing = torch.cat([slopes[0] * by_unit, -slopes[1] * by_unit]).unsqueeze(2)
        if self.share is None:
            return trailing
        left = self.share.left.squeeze(2)  # g, t
        summed = hidden[:, None, :, None] * left[:, None, :]  # sign, g, q, t
        return trailing + self.share.trailing(summed.flatten(0, 1).unsqueeze(1))


def units_for(activation: Activation, rank: int) -> type[Units]:
    """The least work that an activation behind a bond of that rank allows."""
    if activation.linear:
        return _Linear
    return _Signs if rank == 1 and activation.homogeneous else _Neurons
