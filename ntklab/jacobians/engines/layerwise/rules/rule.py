"""The rule of a layer, and the list in which the engine looks for one."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from typing import ClassVar

from torch import nn

from ntklab.jacobians.engines.layerwise.call import Call
from ntklab.jacobians.engines.layerwise.terms import Term

Types = tuple[type[nn.Module] | str, ...]


class Rule(ABC):
    """How a layer's inputs and cotangents become gradients of its parameters.

    Attributes:
        types: the layers, as classes or as "module.Class" where that need not be installed. A
            subclass with a forward pass of its own is another layer.
        parameters: the names that the rule knows; a layer with others takes the generic rule.
        nested: whether it also knows parameters of the layer's own parts (`cores.0`).
    """

    types: ClassVar[Types] = ()
    parameters: ClassVar[tuple[str, ...]] = ("weight", "bias")
    nested: ClassVar[bool] = False

    def knows(self, names: Iterable[str]) -> bool:
        """Whether the rule gives the gradients by all these parameters."""
        return set(names) <= set(self.parameters)

    def handles(self, module: nn.Module) -> bool:
        """Whether this rule is right for the layer."""
        if "forward" in vars(module):
            return False  # replaced on this very layer
        forward = type(module).forward
        for kind in type(module).__mro__:
            named = f"{kind.__module__}.{kind.__qualname__}"
            if (kind in self.types or named in self.types) and kind.forward is forward:  # type: ignore[attr-defined]
                return True
        return False

    @abstractmethod
    def terms(self, module: nn.Module, names: Collection[str], call: Call) -> dict[str, Term]:
        """The gradients of one call.

        Args:
            module: the layer.
            names: its parameters that are asked for, by their names in the layer.
            call: what it was called with, and the cotangents.

        Returns:
            A term for each of `names`; the engine sums those of several calls.
        """


_RULES: list[Rule] = []


def register_rule(rule: Rule) -> Rule:
    """Let the layerwise engine use a rule, before those that are there already.

    Example:
        >>> import torch
        >>> from ntklab.jacobians.engines.layerwise import Rows
        >>> class Shift(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.by = nn.Parameter(torch.zeros(3))
        ...     def forward(self, x):
        ...         return x + self.by
        >>> class ShiftRule(Rule):
        ...     types, parameters = (Shift,), ("by",)
        ...     def terms(self, module, names, call):
        ...         return {"by": Rows(call.cotangent.flatten(2, -2).sum(2))}
        >>> rule_for(Shift()) is register_rule(ShiftRule())
        False
        >>> type(rule_for(Shift())).__name__
        'ShiftRule'
    """
    _RULES.insert(0, rule)
    return rule


def rule_for(module: nn.Module) -> Rule | None:
    """The rule that handles a layer; None where only the generic one does."""
    return next((rule for rule in _RULES if rule.handles(module)), None)
