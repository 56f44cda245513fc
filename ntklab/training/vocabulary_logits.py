"""The frozen projection's logits, kept between runs that read the same texts."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.tasks import HiddenStates, NextToken

# Tokens of one product: the same for every text, so that equal rows have equal logits.
_TOKENS = 256


@dataclass(frozen=True, eq=False)
class FrozenLogits:
    """φ W0ᵀ + b of every prediction of the three splits, shape (N, V) each, float32.

    Two thirds of a training step of a vocabulary head are this one product, whose result never
    changes. Where many runs share their texts (a table over methods, rates and seeds), it is worth
    4 V bytes a token: 1.6 GB for 8 windows of 1024 tokens and 49152 words.

    Attributes:
        train: of the training text.
        valid: of the validation text.
        test: of the test text.
    """

    train: Float[Tensor, "N V"]
    valid: Float[Tensor, "n V"]
    test: Float[Tensor, "m V"]


def frozen_logits(data: NextToken) -> FrozenLogits:
    """Compute them once.

    Example:
        >>> states = HiddenStates(torch.ones(3, 2), torch.zeros(3, dtype=torch.int64), "a")
        >>> data = NextToken(states, states, states, torch.ones(5, 2), None, {})
        >>> frozen_logits(data).train.shape
        torch.Size([3, 5])
    """
    return FrozenLogits(*(_logits(data, split) for split in (data.train, data.valid, data.test)))


@torch.no_grad()
def _logits(data: NextToken, states: HiddenStates) -> Tensor:
    logits = data.weight.new_empty(states.n_samples, data.vocabulary)
    for rows in torch.arange(states.n_samples).split(_TOKENS):
        phi = states.features[rows].to(data.weight)
        logits[rows] = torch.nn.functional.linear(phi, data.weight, data.bias)
    return logits
