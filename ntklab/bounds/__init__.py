"""Bounds beside what they bound: each with ingredients, assumptions and whether it says anything.

Equations are those of arXiv 2506.16456; `Bound.form` tells the paper's form from the mended one and
from what is sharper.
"""

from ntklab.bounds.approximation import (
    barron_bound,
    barron_moment,
    cross_entropy_lipschitz,
    risk_gap_bound,
    sum_bound,
)
from ntklab.bounds.bound import Assumption, Bound, conclude, rests_on
from ntklab.bounds.coding import MOST_BITS, Code, coded, counting_bound
from ntklab.bounds.comparison import side_by_side
from ntklab.bounds.composition import CompositionBounds, composition_bounds
from ntklab.bounds.compression import compression_bound
from ntklab.bounds.cross_entropy import cross_entropy_bound, gamma_inverse, gamma_transform
from ntklab.bounds.descent import descent_bound, descent_envelope, descent_prediction
from ntklab.bounds.fit import arora_bound, clipped_risk, fit_bound, fit_risk_bound
from ntklab.bounds.gauge import GaugeEffect, gauge_effects, in_gauge
from ntklab.bounds.generalization import (
    RadiusCell,
    cross_entropy_ceiling,
    deviation_term,
    radius_grid,
    risk_bound,
)
from ntklab.bounds.learning_rates import (
    BestRates,
    best_rates,
    core_scales,
    scaled_kernel,
)
from ntklab.bounds.listed import Bounds
from ntklab.bounds.local import critical_level, local_rademacher
from ntklab.bounds.maurey import ReluNetwork, maurey_network
from ntklab.bounds.norms import (
    Fit,
    early_stopped_fit,
    minimum_norm_fit,
)
from ntklab.bounds.optimization import (
    decay_rate,
    drift_bound,
    flow_bound,
    flow_prediction,
    kernel_growth_bound,
    projected_flow_bound,
)
from ntklab.bounds.pac_bayes import (
    TangentPosterior,
    best_tangent_posterior,
    gibbs_error,
    kl_inverse,
    pac_bayes_bound,
    tangent_posterior,
)
from ntklab.bounds.rademacher import (
    RademacherEstimate,
    exact_rademacher,
    kappa_bound,
    khintchine_bound,
    lambda_min_bound,
    largest_feature_norm,
    monte_carlo_rademacher,
    trace_bound,
)
from ntklab.bounds.residual import ResidualModes, effective_rate, residual_modes
from ntklab.bounds.truncation import (
    GELU_LIPSCHITZ,
    LIPSCHITZ,
    TruncatedHead,
    root_mean_square,
    truncate_head,
    truncation_bound,
    tt_svd_bounds,
)

__all__ = [  # noqa: RUF022 - grouped by use
    # what every function returns
    "Bound",
    "Bounds",
    "Assumption",
    "conclude",
    "rests_on",
    # all that a kernel and labels give
    "side_by_side",
    # Rademacher complexity, eqs 17-19
    "RademacherEstimate",
    "exact_rademacher",
    "monte_carlo_rademacher",
    "trace_bound",
    "kappa_bound",
    "khintchine_bound",
    "lambda_min_bound",
    "largest_feature_norm",
    "local_rademacher",
    "critical_level",
    # the ball that a fit needs
    "Fit",
    "minimum_norm_fit",
    "early_stopped_fit",
    # generalization, eqs 15, 20, 21
    "risk_bound",
    "radius_grid",
    "RadiusCell",
    "deviation_term",
    "cross_entropy_ceiling",
    "fit_bound",
    "fit_risk_bound",
    "clipped_risk",
    "arora_bound",
    # PAC-Bayes and counting
    "TangentPosterior",
    "tangent_posterior",
    "best_tangent_posterior",
    "pac_bayes_bound",
    "gibbs_error",
    "kl_inverse",
    "compression_bound",
    "counting_bound",
    "coded",
    "Code",
    "MOST_BITS",
    # optimization, eqs 10, 22
    "ResidualModes",
    "residual_modes",
    "decay_rate",
    "flow_bound",
    "projected_flow_bound",
    "flow_prediction",
    "descent_bound",
    "descent_envelope",
    "descent_prediction",
    "drift_bound",
    "effective_rate",
    "kernel_growth_bound",
    "cross_entropy_bound",
    "gamma_transform",
    "gamma_inverse",
    # approximation, eqs 5-9
    "cross_entropy_lipschitz",
    "risk_gap_bound",
    "barron_bound",
    "barron_moment",
    "maurey_network",
    "ReluNetwork",
    "tt_svd_bounds",
    "truncation_bound",
    "truncate_head",
    "TruncatedHead",
    "sum_bound",
    "root_mean_square",
    "LIPSCHITZ",
    "GELU_LIPSCHITZ",
    # the factors of the chain rule, eqs 26, 28
    "composition_bounds",
    "CompositionBounds",
    # gauge and per-core learning rates
    "BestRates",
    "best_rates",
    "core_scales",
    "scaled_kernel",
    "GaugeEffect",
    "gauge_effects",
    "in_gauge",
]
