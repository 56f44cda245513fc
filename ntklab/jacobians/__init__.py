"""Jacobians of any model by any of its parameters, and the kernels they make."""

from ntklab.jacobians.choice import ENGINES, jacobian
from ntklab.jacobians.engines.engine import Engine
from ntklab.jacobians.kernel import ntk
from ntklab.jacobians.memory import default_memory, format_memory, parse_memory
from ntklab.jacobians.operator import Jacobian
from ntklab.jacobians.precision import kernel_error
from ntklab.jacobians.weight_space import weight_jacobian, weight_kernel

__all__ = [
    "ENGINES",
    "Engine",
    "Jacobian",
    "default_memory",
    "format_memory",
    "jacobian",
    "kernel_error",
    "ntk",
    "parse_memory",
    "weight_jacobian",
    "weight_kernel",
]
