"""Rules of this library's adapters as layers: each leaves out the frozen base."""

from collections.abc import Collection, Iterable
from copy import copy
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from ntklab.adapters import LoRA, TensorGuide, TeRA, TTDelta, TTLoRA
from ntklab.adapters.adapter import Adapter, Generator
from ntklab.jacobians.engines.layerwise.call import Call
from ntklab.jacobians.engines.layerwise.rules.generic import GenericRule
from ntklab.jacobians.engines.layerwise.rules.linear import positions
from ntklab.jacobians.engines.layerwise.rules.rule import Rule, Types, register_rule
from ntklab.jacobians.engines.layerwise.terms import Outer, Rows, Term, Vectors
from ntklab.jacobians.memory import spans

# Numbers of weight-sized cotangents that are held at a time.
_AT_ONCE = 1 << 22


class LoRARule(Rule):
    """∂f/∂A = s Σ_t (Bᵀδ_t) x_tᵀ and ∂f/∂B = s Σ_t δ_t (A x_t)ᵀ: both rank r, never δ_t x_tᵀ."""

    types = (LoRA,)
    parameters = ("A", "B")

    def terms(self, module: nn.Module, names: Collection[str], call: Call) -> dict[str, Term]:
        """Outer products through the bottleneck."""
        assert isinstance(module, LoRA)
        seen = positions(call.input, lead=1).unsqueeze(1)
        cotangents = module.scale * positions(call.cotangent, lead=2)
        terms: dict[str, Term] = {}
        if "A" in names:
            terms["A"] = Outer(Vectors(cotangents @ module.B.detach()), Vectors(seen))
        if "B" in names:
            terms["B"] = Outer(Vectors(cotangents), Vectors(seen @ module.A.detach().T))
        return terms


class FactorRule(Rule):
    """The generic rule on the adapted part alone: its base has no parameter to differentiate by.

    Cost: one forward and C backward passes through σ(x W1) W2, which a layer of its width is.
    """

    types: ClassVar[Types] = (TTLoRA, TensorGuide)
    nested = True

    def knows(self, names: Iterable[str]) -> bool:
        """All but those of the base, which are frozen."""
        return not any(name.startswith("base.") for name in names)

    def terms(self, module: nn.Module, names: Collection[str], call: Call) -> dict[str, Term]:
        """Rows."""
        bare = copy(module)
        bare._modules = {**module._modules, "base": None}
        return GenericRule().terms(bare, names, call)


class GeneratedRule(FactorRule):
    """∂f/∂θ = Tᵀ vec(s Σ_t x_t δ_tᵀ) for ΔW = w(θ), T its tangent map: never x ΔW.

    Cost: N C T d m multiply-adds, and the generator's backward pass on N C cotangents.
    """

    types: ClassVar[Types] = (TTDelta, TeRA)

    def terms(self, module: nn.Module, names: Collection[str], call: Call) -> dict[str, Term]:
        """Rows."""
        adapter = cast(Adapter, module)
        inputs = positions(call.input, lead=1)[:, 0]
        cotangents = adapter.scale * positions(call.cotangent, lead=2)[:, :, 0]
        owned = dict(adapter.named_parameters())
        params = {f"adapter.{name}": owned[name].detach() for name in names}
        generator = Generator(adapter)
        back = torch.func.vjp(lambda p: torch.func.functional_call(generator, p), params)[1]
        pull = torch.func.vmap(lambda w: back(w)[0])
        samples, outputs = cotangents.shape[:2]
        parts: dict[str, list[Tensor]] = {name: [] for name in names}
        step = max(1, _AT_ONCE // (outputs * adapter.in_features * adapter.out_features))
        for start, stop in spans(samples, step):
            weights = inputs[start:stop, None].mT @ cotangents[start:stop]  # (n, C, d, m)
            pulled = pull(weights.flatten(0, 1).flatten(1))
            for name in names:
                rows = pulled[f"adapter.{name}"].reshape(stop - start, outputs, -1)
                parts[name].append(rows)
        return {name: Rows(torch.cat(part)) for name, part in parts.items()}


for _rule in (LoRARule(), FactorRule(), GeneratedRule()):
    register_rule(_rule)
