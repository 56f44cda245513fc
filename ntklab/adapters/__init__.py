"""Adapters: generators of weights over one head, and the registry of their names.

Names are loaded when first used: registry and specifications need no torch.
"""

from typing import TYPE_CHECKING

from ntklab.lazy_names import lazily

if TYPE_CHECKING:
    from ntklab.adapters.adapter import Adapter, Decoupled, FactorTangents
    from ntklab.adapters.build import build_adapter, method_named
    from ntklab.adapters.collapse import match_width, transplant, width_matrices
    from ntklab.adapters.head import DeltaAdapter, FactorAdapter
    from ntklab.adapters.linear_probe import LinearProbe
    from ntklab.adapters.lora import LoRA
    from ntklab.adapters.registry import METHODS
    from ntklab.adapters.spec import PRESETS, SIZES, AdapterSpec
    from ntklab.adapters.tensorguide import TensorGuide
    from ntklab.adapters.tera import TeRA
    from ntklab.adapters.tt_delta import TTDelta
    from ntklab.adapters.tt_lora import TTLoRA

__all__ = [
    "METHODS",
    "PRESETS",
    "SIZES",
    "Adapter",
    "AdapterSpec",
    "Decoupled",
    "DeltaAdapter",
    "FactorAdapter",
    "FactorTangents",
    "LinearProbe",
    "LoRA",
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

__getattr__, __dir__ = lazily(
    __name__,
    {
        "adapter": ("Adapter", "Decoupled", "FactorTangents"),
        "build": ("build_adapter", "method_named"),
        "collapse": ("match_width", "transplant", "width_matrices"),
        "head": ("DeltaAdapter", "FactorAdapter"),
        "linear_probe": ("LinearProbe",),
        "lora": ("LoRA",),
        "registry": ("METHODS",),
        "spec": ("PRESETS", "SIZES", "AdapterSpec"),
        "tensorguide": ("TensorGuide",),
        "tera": ("TeRA",),
        "tt_delta": ("TTDelta",),
        "tt_lora": ("TTLoRA",),
    },
)
