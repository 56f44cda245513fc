"""Linearized training as a prediction, and the check whether a run follows it."""

from ntklab.dynamics.at_start import KernelAtStart, certificate, stability_limit
from ntklab.dynamics.cross_entropy import CrossEntropyDynamics
from ntklab.dynamics.difference import difference_kernel, logit_difference
from ntklab.dynamics.in_weights import linearization_in_weights
from ntklab.dynamics.laziness import (
    LazyIndex,
    effective_rate,
    kernel_drift,
    lazy_index,
    linearization_error,
    parameter_norm,
    total_degree,
)
from ntklab.dynamics.linearize import linearize
from ntklab.dynamics.modes import Modes
from ntklab.dynamics.observer import TangentObserver
from ntklab.dynamics.prediction import HeldOut, Prediction, predict
from ntklab.dynamics.regime import (
    DRIFT_LIMIT,
    LAZY_LIMIT,
    LINEARIZATION_LIMIT,
    Regime,
    forced_drift,
    largest_figure,
    regime,
    regime_of_rows,
)
from ntklab.dynamics.ridge import Ridge
from ntklab.dynamics.sign import sign_descent, sign_kernel, sign_rows
from ntklab.dynamics.squared import SquaredDynamics
from ntklab.dynamics.trajectory import Trajectory

__all__ = [  # noqa: RUF022 - grouped by use
    # predictions
    "KernelAtStart",
    "linearize",
    "predict",
    "Prediction",
    "HeldOut",
    "SquaredDynamics",
    "CrossEntropyDynamics",
    "Trajectory",
    "Modes",
    "Ridge",
    "logit_difference",
    "difference_kernel",
    # sign descent, for Adam
    "sign_kernel",
    "sign_rows",
    "sign_descent",
    # measured along a run
    "TangentObserver",
    "kernel_drift",
    "effective_rate",
    "linearization_error",
    "linearization_in_weights",
    # known before it
    "stability_limit",
    "lazy_index",
    "LazyIndex",
    "forced_drift",
    "parameter_norm",
    "total_degree",
    # the certificate
    "certificate",
    "regime",
    "regime_of_rows",
    "largest_figure",
    "Regime",
    "DRIFT_LIMIT",
    "LINEARIZATION_LIMIT",
    "LAZY_LIMIT",
]
