"""Tensor trains: shapes, contraction, decomposition, gauge and planning.

They know nothing of adapters.
"""

from ntklab.tensor_train.contraction import contract, environment, shape_of, tangent_map
from ntklab.tensor_train.shape import TTShape, attainable_ranks

__all__ = [
    "TTShape",
    "attainable_ranks",
    "contract",
    "environment",
    "shape_of",
    "tangent_map",
]
