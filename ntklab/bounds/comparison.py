"""All bounds that a kernel and its labels give, in one list: one row of a table each."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.bounds.bound import Bound
from ntklab.bounds.fit import arora_bound, fit_bound, fit_risk_bound
from ntklab.bounds.listed import Bounds
from ntklab.bounds.local import critical_level, local_rademacher
from ntklab.bounds.norms import early_stopped_fit
from ntklab.bounds.pac_bayes import best_tangent_posterior
from ntklab.bounds.rademacher import (
    LARGEST_ENUMERATION,
    RademacherEstimate,
    exact_rademacher,
    kappa_bound,
    khintchine_bound,
    lambda_min_bound,
    monte_carlo_rademacher,
    trace_bound,
)
from ntklab.errors import InputError
from ntklab.spectra import JacobianLike, Spectrum, spectrum


@takes_arrays
def side_by_side(
    operator: JacobianLike | Float[Tensor, "n n"],
    targets: Tensor,
    *,
    start: Tensor | None = None,
    time: float = math.inf,
    delta: float = 0.05,
    unit: float = 1.0,
    draws: int = 4000,
    seed: int = 0,
    risk: float | None = None,
) -> Bounds:
    """Every complexity and risk bound of a kernel with its labels, each beside R_S or the risk.

    The ball is the one through the fit of the labels at `time`, except for the λ_min route, which
    is about the interpolant's. R_S is enumerated up to 20 rows and sampled beyond.

    Args:
        operator: J, or K (N·C, N·C).
        targets: y, (N,) or (N, C).
        start: f₀ on the same samples and in the same shape; zero if left out.
        time: of gradient flow ṙ = −K r; inf for the minimum-norm fit.
        delta: probability of failure of each bound.
        unit: least radius of the grid of balls, or prior scale; fixed before the data.
        draws: of Monte Carlo.
        seed: of Monte Carlo.
        risk: the clipped risk (`clipped_risk`) on held-out samples, where measured.

    Returns:
        Bounds in the order: complexity, λ_min route, fit, local, risk; PAC-Bayes last, if there is
        one output and the targets are ±1.

    Raises:
        InputError: targets that do not fit the kernel, or that the start equals.

    Cost: one spectrum with eigenvectors, and draws · (N·C)² multiply-adds.

    Example:
        >>> found = side_by_side(torch.ones(9, 9), torch.ones(9))
        >>> [b.name for b in found if b.value is None]
        ['rademacher-lambda-min', 'arora-2019']
    """
    y = targets.detach().to("cpu", torch.float64)
    if start is not None and start.shape != targets.shape:
        raise InputError(
            f"start has shape {tuple(start.shape)} and targets {tuple(targets.shape)}: give f₀ and "
            "y of the same samples and outputs."
        )
    left = y if start is None else y - start.detach().to("cpu", torch.float64)
    samples = len(y)
    K = operator if isinstance(operator, Tensor) else operator.gram()
    s = spectrum(operator, vectors=True)
    radius = early_stopped_fit(s, left, time).radius
    known = _estimate(K, samples, radius, draws, seed)
    bounds: list[Bound] = [
        known.as_bound(),
        *(
            bound(K, n_samples=samples, radius=radius, measured=known.value)
            for bound in (khintchine_bound, trace_bound, kappa_bound)
        ),
        lambda_min_bound(s, left, n_samples=samples),
        fit_bound(s, left, n_samples=samples, time=time, measured=known.value),
    ]
    if s.size == samples:
        bounds.append(arora_bound(K, s, left))
    bounds.append(_local(s, samples, radius))
    bounds.append(
        fit_risk_bound(s, left, n_samples=samples, time=time, delta=delta, unit=unit, measured=risk)
    )
    if s.size == samples and bool((y.abs() == 1).all()):
        bounds.append(best_tangent_posterior(s, y, start=start, prior_scale=unit, delta=delta)[1])
    return Bounds(bounds)


def _estimate(K: Tensor, samples: int, radius: float, draws: int, seed: int) -> RademacherEstimate:
    if K.shape[0] <= LARGEST_ENUMERATION:
        return exact_rademacher(K, n_samples=samples, radius=radius)
    return monte_carlo_rademacher(K, n_samples=samples, radius=radius, draws=draws, seed=seed)


def _local(s: Spectrum, samples: int, radius: float) -> Bound:
    """At its critical level, or at any level where the ball is a point."""
    level = critical_level(s, n_samples=samples, radius=radius)
    return local_rademacher(s, level or 1.0, n_samples=samples, radius=radius)
