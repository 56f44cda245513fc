"""Adapters inside models: put in, folded into the weights, taken out, saved and loaded."""

from ntklab.adapters.inject.replace import (
    Injection,
    adapters_in,
    inject,
    injection_of,
    merge,
    remove,
    unmerge,
)
from ntklab.adapters.inject.state import load_adapter, save_adapter
from ntklab.adapters.inject.targets import Target, select_targets

__all__ = [
    "Injection",
    "Target",
    "adapters_in",
    "inject",
    "injection_of",
    "load_adapter",
    "merge",
    "remove",
    "save_adapter",
    "select_targets",
    "unmerge",
]
