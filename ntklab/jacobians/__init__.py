"""Jacobians of any model by any of its parameters, and the kernels they make.

Names are loaded when first used: the registry of engines needs no torch.
"""

from typing import TYPE_CHECKING

from ntklab.lazy_names import lazily

if TYPE_CHECKING:
    from ntklab.jacobians.choice import jacobian
    from ntklab.jacobians.engines.engine import Engine
    from ntklab.jacobians.guards.inside import whole_float64
    from ntklab.jacobians.guards.precision import kernel_error
    from ntklab.jacobians.kernel import ntk
    from ntklab.jacobians.memory import default_memory, format_memory, parse_memory
    from ntklab.jacobians.operator import Jacobian
    from ntklab.jacobians.readout import (
        Logits,
        Loss,
        Margin,
        Readout,
        TokenLogits,
        readout_named,
    )
    from ntklab.jacobians.registry import ENGINES
    from ntklab.jacobians.vocabulary import VocabularyKernel, vocabulary_kernel
    from ntklab.jacobians.weight_space import weight_jacobian, weight_kernel

__all__ = [
    "ENGINES",
    "Engine",
    "Jacobian",
    "Logits",
    "Loss",
    "Margin",
    "Readout",
    "TokenLogits",
    "VocabularyKernel",
    "default_memory",
    "format_memory",
    "jacobian",
    "kernel_error",
    "ntk",
    "parse_memory",
    "readout_named",
    "vocabulary_kernel",
    "weight_jacobian",
    "weight_kernel",
    "whole_float64",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "choice": ("jacobian",),
        "engines.engine": ("Engine",),
        "kernel": ("ntk",),
        "readout": ("Logits", "Loss", "Margin", "Readout", "TokenLogits", "readout_named"),
        "vocabulary": ("VocabularyKernel", "vocabulary_kernel"),
        "memory": ("default_memory", "format_memory", "parse_memory"),
        "operator": ("Jacobian",),
        "guards.inside": ("whole_float64",),
        "guards.precision": ("kernel_error",),
        "registry": ("ENGINES",),
        "weight_space": ("weight_jacobian", "weight_kernel"),
    },
)
