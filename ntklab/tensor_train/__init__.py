"""Tensor trains: shapes, contraction, decomposition, gauge and planning.

They know nothing of adapters.
"""

from ntklab.tensor_train.application import application_macs, apply_train
from ntklab.tensor_train.contraction import contract, shape_of, tangent_map
from ntklab.tensor_train.cut import Cut
from ntklab.tensor_train.decomposition import (
    TTDecomposition,
    orthogonalize,
    reconstruct,
    tt_round,
    tt_svd,
    unfolding_spectra,
    unfolding_tails,
)
from ntklab.tensor_train.exact_nullity import exact_nullity
from ntklab.tensor_train.factoring import balanced_modes
from ntklab.tensor_train.gauge import (
    Nullity,
    PredictedNullity,
    TangentBounds,
    canonical_gauge,
    equal_norm_gauge,
    gauge_null_vectors,
    nullity,
    predicted_nullity,
    scale_bond,
    tangent_bounds,
)
from ntklab.tensor_train.planner import (
    Plan,
    candidates,
    fitting_error,
    plan,
    plan_factor,
    plan_matrix,
)
from ntklab.tensor_train.pullback import (
    BLOCK_BYTES,
    pull_back_layer,
    shifts_pay,
    sweep_bytes,
)
from ntklab.tensor_train.segment import Segment
from ntklab.tensor_train.shape import TTShape, attainable_ranks
from ntklab.tensor_train.shape_warnings import (
    collapse_warnings,
    idle_rank_warnings,
    prime_warnings,
    useful_ranks,
)
from ntklab.tensor_train.shifts import ShiftedCore

__all__ = [
    "BLOCK_BYTES",
    "Cut",
    "Nullity",
    "Plan",
    "PredictedNullity",
    "Segment",
    "ShiftedCore",
    "TTDecomposition",
    "TTShape",
    "TangentBounds",
    "application_macs",
    "apply_train",
    "attainable_ranks",
    "balanced_modes",
    "candidates",
    "canonical_gauge",
    "collapse_warnings",
    "contract",
    "equal_norm_gauge",
    "exact_nullity",
    "fitting_error",
    "gauge_null_vectors",
    "idle_rank_warnings",
    "nullity",
    "orthogonalize",
    "plan",
    "plan_factor",
    "plan_matrix",
    "predicted_nullity",
    "prime_warnings",
    "pull_back_layer",
    "reconstruct",
    "scale_bond",
    "shape_of",
    "shifts_pay",
    "sweep_bytes",
    "tangent_bounds",
    "tangent_map",
    "tt_round",
    "tt_svd",
    "unfolding_spectra",
    "unfolding_tails",
    "useful_ranks",
]
