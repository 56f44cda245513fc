"""One rule a kind of layer; the generic one for all others."""

from ntklab.jacobians.engines.layerwise.rules import (  # noqa: F401 — each registers its rules
    adapter,
    convolution,
    linear,
    scales,
)
from ntklab.jacobians.engines.layerwise.rules.generic import GenericRule
from ntklab.jacobians.engines.layerwise.rules.rule import Rule, register_rule, rule_for

__all__ = ["GenericRule", "Rule", "register_rule", "rule_for"]
