"""Rules of matrix layers: y = W x + b, and a table of vectors."""

from collections.abc import Collection
from typing import ClassVar

from torch import Tensor, nn

from ntklab.jacobians.engines.layerwise.call import Call
from ntklab.jacobians.engines.layerwise.rules.rule import Rule, Types, register_rule
from ntklab.jacobians.engines.layerwise.terms import Choices, Outer, Rows, Term, Vectors


def positions(tensor: Tensor, lead: int) -> Tensor:
    """All dimensions between the first `lead` and the last as one, after a group of one.

    >>> import torch
    >>> positions(torch.ones(2, 1, 7, 5, 3), lead=1).shape
    torch.Size([2, 1, 35, 3])
    """
    return tensor.reshape(*tensor.shape[:lead], 1, -1, tensor.shape[-1])


class LinearRule(Rule):
    """∂f/∂W = Σ_t δ_t x_tᵀ, ∂f/∂b = Σ_t δ_t."""

    types: ClassVar[Types] = (nn.Linear, nn.modules.linear.NonDynamicallyQuantizableLinear)
    transposed = False

    def terms(self, module: nn.Module, names: Collection[str], call: Call) -> dict[str, Term]:
        """Outer products of cotangents and inputs."""
        terms: dict[str, Term] = {}
        cotangents = positions(call.cotangent, lead=2)
        if "weight" in names:
            sides = Vectors(cotangents), Vectors(positions(call.input, lead=1).unsqueeze(1))
            terms["weight"] = Outer(*(reversed(sides) if self.transposed else sides))
        if "bias" in names:
            terms["bias"] = Rows(cotangents.sum((2, 3)))
        return terms


class Conv1DRule(LinearRule):
    """The linear layer of GPT-2 in transformers, whose weight is stored (inputs, outputs)."""

    types: ClassVar[Types] = ("transformers.pytorch_utils.Conv1D",)
    transposed = True


class EmbeddingRule(Rule):
    """∂f/∂W is δ_t in the row of token t: matches of tokens, never a dense (V, d) array."""

    types = (nn.Embedding,)

    def handles(self, module: nn.Module) -> bool:
        """Rows that a call rescales, or whose gradients it does, are left to the generic rule."""
        return super().handles(module) and module.max_norm is None and not module.scale_grad_by_freq

    def terms(self, module: nn.Module, names: Collection[str], call: Call) -> dict[str, Term]:
        """Unit vectors of tokens times cotangents."""
        assert isinstance(module, nn.Embedding)
        tokens = call.input.flatten(1)
        cotangents = positions(call.cotangent, lead=2)
        if module.padding_idx is not None:
            padded = (tokens == module.padding_idx)[:, None, None, :, None]
            cotangents = cotangents.masked_fill(padded, 0)
        return {"weight": Outer(Choices(tokens, module.num_embeddings), Vectors(cotangents))}


for _rule in (LinearRule, Conv1DRule, EmbeddingRule):
    register_rule(_rule())
