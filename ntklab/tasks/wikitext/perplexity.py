"""Loss and perplexity of a frozen projection, without ever holding N × V logits."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

# Logits held at a time: 2^23 float32 numbers are 32 MiB, about what stays near the cores.
BLOCK = 1 << 23


def token_losses(
    features: Float[Tensor, "N d"],
    labels: Int[Tensor, " N"],
    weight: Float[Tensor, "V d"],
    bias: Float[Tensor, " V"] | None = None,
) -> Float[Tensor, " N"]:
    """−log softmax(φ Wᵀ + b)[label] of every prediction, in nats.

    Args:
        features: φ; converted to the weight's dtype and device a block at a time.
        labels: the tokens that came.
        weight: the projection.
        bias: its bias.

    Returns:
        Losses in float64 on the CPU; logits and their log-sum are of the weight's dtype.

    Cost: V d multiply-adds a token; 32 MiB of logits at a time.

    Example:
        >>> losses = token_losses(torch.zeros(2, 3), torch.tensor([0, 1]), torch.ones(4, 3))
        >>> round(losses.mean().exp().item(), 6)
        4.0
    """
    rows = max(1, BLOCK // len(weight))
    parts = []
    with torch.no_grad():
        for phi, y in zip(features.split(rows), labels.split(rows), strict=True):
            logits = F.linear(phi.to(weight), weight, bias)
            losses = F.cross_entropy(logits, y.to(weight.device), reduction="none")
            parts.append(losses.double().cpu())
    return torch.cat(parts)


def perplexity(losses: Float[Tensor, " N"]) -> float:
    """exp of the mean loss a token: transformers' own, where all its windows weigh the same.

    Example:
        >>> perplexity(torch.tensor([math.log(2.0), math.log(8.0)], dtype=torch.float64))
        4.0
    """
    mean = float(losses.double().mean())
    return math.exp(mean) if mean < 700 else math.inf
