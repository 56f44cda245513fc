"""A head over a whole vocabulary: base and adapter, and its cross-entropy in blocks.

Logits are base(φ) + scale · σ(φ W1) W2 with tens of thousands of outputs, so they exist for some
tokens at a time only: each block's logits become its loss and its gradient by σ(φ W1) and W2, and
are gone. The frozen projection costs d V multiply-adds a token at every step (28 million for
SmolLM2's 576 × 49152), the adapter 3 M (d + V) beside it.
"""

import copy
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ntklab.adapters import Adapter, FactorAdapter
from ntklab.adapters.adapter import trainable
from ntklab.jacobians.memory import spans
from ntklab.tasks import HiddenStates
from ntklab.training.vocabulary_factors import thin_factors, thin_terms

# Logits held at a time: 2^23 float32 numbers are 32 MiB.
BLOCK = 1 << 23


class VocabularyHead(nn.Module):
    """f(x) = base(φ) + a(φ; θ) − a(φ; θ_0), a the adapted part; without a base, a(φ; θ) alone.

    Presets that draw both factors at random start with a ΔW of the size of the base itself, which
    would destroy a trained projection. Subtracting the frozen start (as the lazy-training papers
    do, Chizat et al. 2019) keeps the adapter's parameters, kernel and gradients, and starts at the
    base's own logits; where a(φ; θ_0) = 0 already (LoRA with B = 0) it changes nothing.

    Args:
        adapter: trained in place; its base is the frozen projection, or None to replace it.
        centred: subtract the start; only where there is a base.
        chunk: tokens whose logits are held at a time; about `BLOCK` logits if None. Sums run
            chunk by chunk, so it moves the last digits of a float32 result.

    Example:
        >>> from ntklab.adapters import LoRA
        >>> base = nn.Linear(8, 30, bias=False)
        >>> head, phi = VocabularyHead(LoRA(8, 30, rank=2, base=base)), torch.randn(4, 8)
        >>> torch.allclose(head(phi), base(phi), atol=1e-6)
        True
    """

    def __init__(self, adapter: Adapter, *, centred: bool = True, chunk: int | None = None) -> None:
        super().__init__()
        self.adapter, self.chunk = adapter, chunk
        self.origin: Adapter | None = None
        if centred and adapter.base is not None:
            # The base is shared by nobody's copy: None stands for it in the memo.
            self.origin = copy.deepcopy(adapter, {id(adapter.base): None}).requires_grad_(False)
        for name, value in trainable(adapter).items():
            self.register_buffer(_kept(name), value.detach().clone())
        home = next(iter(trainable(adapter).values())).device
        self.register_buffer("running", torch.zeros(2, dtype=torch.float64, device=home))

    running: Tensor

    def forward(self, features: Float[Tensor, "N d"]) -> Float[Tensor, "N V"]:
        """All logits; N · V numbers, so for a few tokens only."""
        base, bias, hidden, second = self.terms(features)
        adapted = hidden @ second
        return adapted if base is None else nn.functional.linear(features, base, bias) + adapted

    def terms(
        self, features: Float[Tensor, "N d"]
    ) -> tuple[Tensor | None, Tensor | None, Float[Tensor, "N K"], Float[Tensor, "K V"]]:
        """(W0, bias, h, S) with logits φ W0ᵀ + bias + h S; scale and start are inside h and S.

        A hidden layer has K = M, or 2 M with its start subtracted; so have updates that are two
        thin factors. Any other ΔW has K = d and takes the base into S: its logits are one product.
        """
        adapter, origin, base = self.adapter, self.origin, self.adapter.base
        weight = None if base is None else base.weight
        bias = None if base is None else base.bias
        if (thin := thin_terms(adapter, features)) is not None:
            hidden, second = thin
            if origin is not None and (begun := thin_terms(origin, features)) is not None:
                hidden, second = torch.cat([hidden, -begun[0]], 1), torch.cat([second, begun[1]])
            return weight, bias, hidden, second
        update = adapter.scale * adapter.delta()  # type: ignore[operator]
        if origin is not None:
            update = update - origin.scale * origin.delta()  # type: ignore[operator]
        if weight is None:
            return None, None, features, update
        if bias is None:
            return None, None, features, weight.T + update
        ones = features.new_ones(len(features), 1)
        return (
            None,
            None,
            torch.cat([features, ones], 1),
            torch.cat([weight.T + update, bias[None]]),
        )

    def loss(
        self,
        features: Float[Tensor, "n d"],
        labels: Int[Tensor, " n"],
        frozen: Float[Tensor, "n V"] | None = None,
    ) -> Tensor:
        """Mean cross-entropy of a batch, differentiable by the adapter's parameters.

        Args:
            features: φ.
            labels: the tokens that came.
            frozen: the base's logits, if they are known already (`FrozenLogits`).

        Memory: a chunk of logits and their like, however many tokens the batch has.
        """
        base, bias, hidden, second = self.terms(features)
        if base is None:
            frozen = None  # S holds the base already, or there is none
        rows = self._rows(second)
        mean: Tensor = _CrossEntropy.apply(
            features, labels, base, bias, hidden, second, frozen, rows
        )
        return mean

    @torch.no_grad()
    def mean_loss(
        self,
        states: HiddenStates,
        frozen: Float[Tensor, "N V"] | None = None,
        tokens: int = 4096,
    ) -> float:
        """Mean cross-entropy over a whole text, summed in float64.

        Args:
            states: the text's states.
            frozen: the base's logits of all of them, if known.
            tokens: how many go through the hidden layer at a time.
        """
        device = self.running.device
        total = torch.zeros((), dtype=torch.float64, device=device)
        dtype = next(iter(trainable(self.adapter).values())).dtype
        for start, stop in spans(states.n_samples, tokens):
            features = states.features[start:stop].to(device, dtype)
            base, bias, hidden, second = self.terms(features)
            for first, last in spans(stop - start, self._rows(second)):
                part, place = slice(first, last), slice(start + first, start + last)
                before = None if frozen is None or base is None else frozen[place]
                logits = _logits(features[part], base, bias, hidden[part], second, before)
                total += _losses(logits, states.labels[place].to(device)).double().sum()
        return float(total) / states.n_samples

    def _rows(self, second: Tensor) -> int:
        return self.chunk or max(1, BLOCK // second.shape[1])

    @torch.no_grad()
    def keep(self) -> None:
        """Note the present parameters as the best so far."""
        for name, value in trainable(self.adapter).items():
            self.get_buffer(_kept(name)).copy_(value)

    @torch.no_grad()
    def restore(self) -> None:
        """Put the best parameters back in place."""
        for name, value in trainable(self.adapter).items():
            value.copy_(self.get_buffer(_kept(name)))

    @property
    def macs(self) -> int:
        """Multiply-adds of one token in a training step: base forward, adapter forward and back."""
        base = self.adapter.in_features * self.adapter.out_features
        if (macs := self._thin_macs()) is not None:
            start = 0 if self.origin is None else 2 * macs
            return (0 if self.adapter.base is None else base) + 3 * macs + start
        return 2 * base  # forward and by S; φ needs no gradient

    @torch.no_grad()
    def _thin_macs(self) -> int | None:
        """Multiply-adds of φ A B, a token; None where the update has no thin factors."""
        adapter = self.adapter
        if isinstance(adapter, FactorAdapter):
            return adapter.macs
        thin = thin_factors(adapter)
        return None if thin is None else thin[0].numel() + thin[1].numel()


class _CrossEntropy(torch.autograd.Function):
    """Mean of −log softmax(φ W0ᵀ + b + h S)[y], with its gradients by h and S made on the way.

    ∂/∂logits = (p − e_y)/n is at hand when the loss is, so nothing of size n × V is kept for the
    backward pass (the idea of the fused cross-entropies of training libraries).
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        labels: Tensor,
        base: Tensor | None,
        bias: Tensor | None,
        hidden: Tensor,
        second: Tensor,
        frozen: Tensor | None,
        chunk: int,
    ) -> Tensor:
        by_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[4] else None
        by_second = torch.zeros_like(second) if ctx.needs_input_grad[5] else None
        total = torch.zeros((), dtype=torch.float64, device=hidden.device)
        for rows in torch.arange(len(labels), device=labels.device).split(chunk):
            known = None if frozen is None else frozen[rows]
            logits, y = (
                _logits(features[rows], base, bias, hidden[rows], second, known),
                labels[rows],
            )
            log_sums = logits.logsumexp(1)
            total += (log_sums - logits.gather(1, y[:, None])[:, 0]).double().sum()
            residual = logits.sub_(log_sums[:, None]).exp_()
            residual[torch.arange(len(y), device=y.device), y] -= 1
            if by_hidden is not None:
                by_hidden[rows] = residual @ second.T
            if by_second is not None:
                by_second.addmm_(hidden[rows].T, residual)
        ctx.gradients = by_hidden, by_second
        ctx.count = len(labels)
        return (total / len(labels)).to(hidden.dtype)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        factor = outer[0] / ctx.count
        by_hidden, by_second = (None if g is None else factor * g for g in ctx.gradients)
        return None, None, None, None, by_hidden, by_second, None, None


def _logits(
    features: Tensor,
    base: Tensor | None,
    bias: Tensor | None,
    hidden: Tensor,
    second: Tensor,
    frozen: Tensor | None,
) -> Tensor:
    if frozen is not None:
        return torch.addmm(frozen, hidden, second)
    if base is None:
        return hidden @ second
    return nn.functional.linear(features, base, bias).addmm_(hidden, second)


def _losses(logits: Float[Tensor, "n V"], labels: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    return nn.functional.cross_entropy(logits, labels, reduction="none")


def _kept(name: str) -> str:
    return "kept_" + name.replace(".", "_")
