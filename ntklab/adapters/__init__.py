"""Adapters: generators of weights over one head, and the registry of their names."""

from ntklab.adapters.adapter import Adapter, Decoupled, FactorTangents, Sizes
from ntklab.adapters.collapse import match_width, transplant, width_matrices
from ntklab.adapters.head import DeltaAdapter, FactorAdapter
from ntklab.adapters.linear_probe import LinearProbe
from ntklab.adapters.lora import LoRA
from ntklab.adapters.presets import PRESETS
from ntklab.adapters.registry import METHODS, build_adapter, method_named
from ntklab.adapters.tensorguide import TensorGuide
from ntklab.adapters.tera import TeRA
from ntklab.adapters.tt_delta import TTDelta
from ntklab.adapters.tt_lora import TTLoRA

__all__ = [
    "METHODS",
    "PRESETS",
    "Adapter",
    "Decoupled",
    "DeltaAdapter",
    "FactorAdapter",
    "FactorTangents",
    "LinearProbe",
    "LoRA",
    "Sizes",
    "TTDelta",
    "TTLoRA",
    "TeRA",
    "TensorGuide",
    "build_adapter",
    "match_width",
    "method_named",
    "transplant",
    "width_matrices",
]
