"""Rows of J for a hidden layer σ(φ W1) W2 whose weights a tensor train generates.

Output c of a sample has the cotangent φ ⊗ (W2[:, c] σ') by W1, which is rank one, and σ ⊗ e_c by
W2. The train is cut at a bond whose trailing modes, Q in all, divide M and M C (theory P2): hidden
unit j = g Q + q sees h_j = Σ_α F[g, α] right[α, q], F = φ left. What is left of a cotangent at the
cut, a number for each group g and bond index α, meets the last leading core by shifts
(`ntklab.tensor_train.ShiftedCore`).

Index names: n sample, c output, g group of hidden units, q place within it, α bond of the cut.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.activation import Activation
from ntklab.tensor_train import Cut, Segment, ShiftedCore, pull_back_layer, shifts_pay
from ntklab.tensor_train.contraction import Cores


def layer_rows(
    cores: Cores,
    latent: Float[Tensor, " z"],
    features: Float[Tensor, "n d"],
    second: Float[Tensor, "M C"],
    activation: Activation,
    scale: float,
) -> Float[Tensor, "n C P"]:
    """∂/∂cores of scale · σ(φ W1) W2 for a batch of samples.

    Args:
        cores: K tensors (r_{k-1}, n_k, m_k, r_k) that generate [vec W1; vec W2], or vec W1 alone
            when Π m_k = d M.
        latent: z, shape (Π n_k,).
        features: φ.
        second: W2.
        activation: σ.
        scale: of the outputs.

    Returns:
        Parameters in the order of the cores, each flattened row-major.

    Cost: see `ShiftedCore` and `pull_back_layer`; which of the two is taken depends on sizes and
    device. For a collapsed width and a homogeneous σ nothing grows with M but with M/Q.

    Example:
        >>> from ntklab.adapters.activation import activation_named
        >>> cores = [torch.randn(1, 1, 6, 2), torch.randn(2, 1, 5, 1)]
        >>> features, second = torch.randn(3, 4), torch.randn(5, 2)
        >>> layer_rows(cores, torch.ones(1), features, second, activation_named("relu"), 1.0).shape
        torch.Size([3, 2, 22])
    """
    cut = Cut.best(cores, latent, len(second))
    if shifts_pay(cores, cut, features, second):
        return _ShiftedLayer(cores, latent, cut, features.shape[1], second, activation, scale)(
            features
        )
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
        features: int,
        second: Tensor,
        activation: Activation,
        scale: float,
    ) -> None:
        *before, core = cores[: cut.position]
        width, self.outputs = second.shape
        above, below = cut.split(features * width)
        rank, trailing = cut.right.shape
        self.groups = width // trailing
        self.projection = above.left.reshape(features, -1)
        # Every gradient is linear in W2 or, by W2, in the cores on one side of the cut.
        weights = scale * second.reshape(self.groups, trailing, self.outputs)
        signed = rank == 1 and activation.homogeneous
        units = _Signs if signed else _Neurons
        under = _Below(below, weights.shape, scale) if len(below.left) else None
        self.units = units(cut.right, weights, activation, under)
        self.before = Segment(before, latent)
        self.core = ShiftedCore(
            self.before.end.reshape(len(self.before.end), -1),
            core.flatten(0, 1),
            blocks=features,
            size=self.groups,
            tail=len(below.left),
        )
        self.after = Segment(cores[cut.position :], latent.new_ones(1), left=rank)
        self.size = core.numel()

    def __call__(self, features: Tensor) -> Float[Tensor, "n C P"]:
        first = self.before.parameters
        last = first + self.size
        samples = len(features)
        rows = features.new_empty(samples, self.outputs, last + self.after.parameters)
        most = self.core.samples_in_block(self.outputs, features.element_size())
        step = -(-samples // -(-samples // most)) if samples else 1  # blocks of equal size
        for start in range(0, samples, step):
            part, here = features[start : start + step], rows[start : start + step]
            through = self.units.at((part @ self.projection).unflatten(1, (self.groups, -1)))
            cotangent = self.core.meet(part, through.filters, through.tail, here, first)
            here[..., :first] = self.before.pull_back(cotangent)
            here[..., last:] = self.after.pull_back(through.trailing.flatten(2).unsqueeze(2))
        return rows


class _Through(NamedTuple):
    """What is left of the cotangents on either side of the cut."""

    filters: Float[Tensor, "n C α g"]
    tail: Float[Tensor, "n C α gC"]
    trailing: Float[Tensor, "n C α q"]


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


class _Units(ABC):
    """The hidden units between the cut and the outputs."""

    def __init__(
        self,
        right: Float[Tensor, "α q"],
        weights: Float[Tensor, "g q c"],
        activation: Activation,
        below: _Below | None,
    ) -> None:
        self.right, self.weights, self.activation, self.below = right, weights, activation, below

    @abstractmethod
    def at(self, projected: Float[Tensor, "n g α"]) -> _Through:
        """From F."""


class _Neurons(_Units):
    """Each by itself: any σ, any rank."""

    def at(self, projected: Float[Tensor, "n g α"]) -> _Through:
        samples, groups, rank = projected.shape
        places, outputs = self.weights.shape[1:]
        preactivation = projected @ self.right
        slope = self.activation.derivative(preactivation)
        folded = torch.einsum("aq,gqc->gqca", self.right, self.weights).flatten(2)
        filters = (slope.transpose(0, 1) @ folded).permute(1, 2, 0)
        sloped = projected.unsqueeze(3) * slope.unsqueeze(2)
        trailing = torch.einsum("ngaq,gqc->ncaq", sloped, self.weights)
        tail = projected.new_empty(samples, outputs, rank, 0)
        if self.below is not None:
            hidden = self.activation.function(preactivation)
            tail = self.below.tail(hidden.reshape(-1, places)).unflatten(0, (samples, groups))
            tail = tail.permute(0, 2, 3, 1, 4).flatten(3)
            summed = torch.einsum("gta,ngq->naqt", self.below.left, hidden)
            trailing = trailing + self.below.trailing(summed.contiguous())
        return _Through(filters.unflatten(1, (outputs, rank)), tail, trailing)


class _Signs(_Units):
    """By the sign of F alone: a homogeneous σ behind a bond of rank 1, where h = F u, u = right.

    With F = F⁺ − F⁻, σ(F u) = F⁺ σ(u) + F⁻ σ(−u), and σ'(F u) is σ'(u), σ'(−u) or σ'(0).
    """

    @cached_property
    def _slopes(self) -> Float[Tensor, "s q"]:
        return self.activation.derivative(self._units)

    @cached_property
    def _units(self) -> Float[Tensor, "s q"]:
        """Where σ is taken for F above, below and at zero."""
        return torch.stack([self.right[0], -self.right[0], 0 * self.right[0]])

    @cached_property
    def _filters(self) -> Float[Tensor, "s c g"]:
        return torch.einsum("sq,gqc->scg", self._slopes * self.right, self.weights)

    @cached_property
    def _tails(self) -> Float[Tensor, "s c t"]:
        assert self.below is not None
        return self.below.tail(self.activation.function(self._units)).squeeze(2)

    def at(self, projected: Float[Tensor, "n g 1"]) -> _Through:
        value = projected.squeeze(2)
        above, below = value.clamp(min=0), (-value).clamp(min=0)
        positive, negative = ((part > 0).to(value.dtype).unsqueeze(1) for part in (above, below))
        up, down, zero = self._filters
        filters = zero + positive * (up - zero) + negative * (down - zero)
        trailing = self._trailing(above, 0) - self._trailing(below, 1)
        tail = value.new_empty(*filters.shape[:2], 1, 0)
        if self.below is not None:
            up, down, _ = self._tails.unsqueeze(2)
            tail = above[:, None, :, None] * up + below[:, None, :, None] * down
            tail = tail.flatten(2).unsqueeze(2)
            left, hidden = self.below.left.squeeze(2), self.activation.function(self._units)
            summed = torch.stack([above @ left, below @ left], dim=2) @ hidden[:2]
            trailing = trailing + self.below.trailing(
                summed.transpose(1, 2).unsqueeze(1).contiguous()
            )
        return _Through(filters.unsqueeze(2), tail, trailing)

    def _trailing(self, size: Float[Tensor, "n g"], pattern: int) -> Tensor:
        """Σ_g F± σ' W2, (n, C, 1, q)."""
        summed = (size @ self.weights.flatten(1)).unflatten(1, self.weights.shape[1:])
        return (self._slopes[pattern] * summed.transpose(1, 2)).unsqueeze(2)
