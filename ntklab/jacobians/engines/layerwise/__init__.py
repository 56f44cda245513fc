"""The layerwise engine: rules that turn what a layer saw into its part of the kernel."""

from ntklab.jacobians.engines.layerwise.call import Call, Layout
from ntklab.jacobians.engines.layerwise.engine import Layerwise
from ntklab.jacobians.engines.layerwise.plan import NotLayerwise
from ntklab.jacobians.engines.layerwise.rules import GenericRule, Rule, register_rule, rule_for
from ntklab.jacobians.engines.layerwise.terms import Choices, Outer, Rows, Term, Vectors

__all__ = [
    "Call",
    "Choices",
    "GenericRule",
    "Layerwise",
    "Layout",
    "NotLayerwise",
    "Outer",
    "Rows",
    "Rule",
    "Term",
    "Vectors",
    "register_rule",
    "rule_for",
]
