"""Rules of this library's adapters as layers."""

from collections.abc import Collection

from torch import nn

from ntklab.adapters import LoRA
from ntklab.jacobians.engines.layerwise.call import Call
from ntklab.jacobians.engines.layerwise.rules.linear import positions
from ntklab.jacobians.engines.layerwise.rules.rule import Rule, register_rule
from ntklab.jacobians.engines.layerwise.terms import Outer, Term, Vectors


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


register_rule(LoRARule())
