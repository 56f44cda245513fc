"""Jacobians of any model by any of its parameters, and the kernels they make."""

from ntklab.jacobian.choice import ENGINES, jacobian
from ntklab.jacobian.engine import Engine
from ntklab.jacobian.kernel import ntk
from ntklab.jacobian.memory import default_memory, format_memory, parse_memory
from ntklab.jacobian.operator import Jacobian
from ntklab.jacobian.precision import kernel_error
from ntklab.jacobian.weight_space import weight_jacobian, weight_kernel

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
