"""The trained upper part of a language model as a model of its own: the frozen rest is left out."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ntklab.tasks.prompt.model import WordLogits


def top_of(model: WordLogits) -> WordLogits:
    """A copy that can be trained: blocks `first` and above, and a head of the label words alone.

    Names are those of the whole model. Where states are given (`first` > 0), the blocks below hold
    nothing and the embedding gives zeros that nobody reads; the head computes C logits instead of
    the whole vocabulary's; the last block's MLP computes the one place that is read, where a trial
    shows that nothing else depends on it. Outputs are those of the whole model but for rounding.

    Args:
        model: left as it is; nothing is shared with it.

    Returns:
        The copy, frozen, in evaluation mode.

    Cost: a copy of the blocks above, some 85 MB for six of SmolLM2-135M in float32.
    """
    whole: Any = model.model
    head = whole.get_output_embeddings()
    memo: dict[int, Any] = {id(head): _narrowed(head, model.words)}
    if model.first:
        blocks = whole.get_submodule(model.blocks_name)
        memo |= {id(block): nn.Identity() for block in list(blocks)[: model.first]}
        embedding = whole.get_input_embeddings()
        memo[id(embedding)] = _Unread(embedding.weight)
    upper = copy.deepcopy(whole, memo).eval().requires_grad_(False)
    places = torch.arange(len(model.words), device=model.words.device)
    top = WordLogits(upper, places, masked=model.masked, first=model.first)
    _narrow_last(top)
    return top


def head_name(model: WordLogits) -> str:
    """The name of the layer that gives the logits, inside `model.model`."""
    whole: Any = model.model
    head = whole.get_output_embeddings()
    return next(name for name, module in whole.named_modules() if module is head)


@torch.no_grad()
def _narrowed(head: nn.Module, words: Tensor) -> nn.Linear:
    """The rows of the label words of an output layer."""
    weight, bias = head.get_parameter("weight"), getattr(head, "bias", None)
    layer = nn.Linear(weight.shape[1], len(words), bias=bias is not None)
    layer = layer.to(weight)
    layer.weight.copy_(weight[words])
    if bias is not None:
        layer.bias.copy_(bias[words])
    return layer.eval().requires_grad_(False)


@torch.no_grad()
def _narrow_last(top: WordLogits) -> None:
    """Show the last MLP one place a prompt, if random states then give the same logits.

    Some models mix places there, or read the other places' output once more.
    """
    name = f"{top.blocks_name}.{top.block_count - 1}.mlp"
    if name not in dict(top.model.named_modules()):
        return
    whole: Any = top.model
    weight = whole.get_parameter(f"{head_name(top)}.weight")
    lengths = torch.tensor([5, 3], device=weight.device)
    count = whole.get_input_embeddings().num_embeddings
    ids = torch.arange(10, device=weight.device).reshape(2, 5) % count
    given = {"input_ids": ids, "places": lengths - 2}
    if top.masked:
        given["lengths"] = lengths
    if top.first:
        draw = torch.Generator().manual_seed(0)
        given["states"] = torch.randn(2, 5, weight.shape[1], generator=draw).to(weight)
    wanted = top(**given)
    top.narrowed = name
    try:
        gap = float((top(**given) - wanted).abs().max() / wanted.abs().max())
    except (RuntimeError, TypeError, IndexError):
        gap = float("inf")
    if not gap < 1e3 * torch.finfo(wanted.dtype).eps:
        top.narrowed = None


class _Unread(nn.Embedding):
    """An embedding whose output is replaced before anything reads it."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(1, weight.shape[1], device=weight.device, dtype=weight.dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Zeros of the right shape."""
        return self.weight.new_zeros(*input.shape, self.embedding_dim)
