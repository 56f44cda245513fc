"""Cost curves: Jacobian time along N, M, C or P, and the power that fits it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.stats import linregress

from ntklab.adapters import Adapter
from ntklab.bench.cases import Curve
from ntklab.bench.problem import Problem
from ntklab.bench.timing import Timing, in_turns, synchronizer
from ntklab.errors import InputError
from ntklab.jacobians import jacobian

#: What may grow at most as which power of the axis (asked of the structured engine).
ASKED = {"N": 1.1, "M": 1.05}


@dataclass(frozen=True)
class PowerLaw:
    """Seconds ≈ e^intercept · value^exponent, by least squares on logarithms.

    Attributes:
        exponent: slope.
        error: its standard error; 0 for two points.
        r_squared: share of the variance of log seconds that it explains.
    """

    exponent: float
    error: float
    r_squared: float


def fit_power(values: Sequence[float], seconds: Sequence[float]) -> PowerLaw:
    """The exponent of a cost curve (scipy's `linregress` on logarithms).

    Raises:
        InputError: fewer than two different values, or a time that is not positive.

    Example:
        >>> law = fit_power([1, 2, 4, 8], [3.0, 6.0, 12.0, 24.0])
        >>> round(law.exponent, 6), round(law.r_squared, 6)
        (1.0, 1.0)
    """
    if len(set(values)) < 2 or min(seconds) <= 0 or min(values) <= 0:
        raise InputError("a power law needs positive times at two different values or more.")
    if min(seconds) == max(seconds):
        return PowerLaw(0.0, 0.0, 1.0)  # a level line, of which no correlation can be taken
    fit = linregress(np.log(values), np.log(seconds))
    return PowerLaw(float(fit.slope), float(fit.stderr), float(fit.rvalue) ** 2)


def measure_curve(
    points: Sequence[Problem], repeats: int, *, device: str = "cpu", budget: float = 60.0
) -> list[Timing]:
    """Times of the rows of J in float32 by the structured engine, the points taking turns."""
    runs = {str(k): _rows(point, device) for k, point in enumerate(points)}
    times = in_turns(runs, repeats, budget=budget, synchronize=synchronizer(device))
    return list(times.values())


def axis_value(curve: Curve, problem: Problem) -> int:
    """Where a problem lies on the axis of its curve."""
    if curve.axis == "N":
        return problem.samples
    if curve.axis == "C":
        return problem.outputs
    model = problem.model()
    assert isinstance(model, Adapter)
    return model.parameter_count if curve.axis == "P" else int(model.width or 0)


def _rows(problem: Problem, device: str) -> Callable[[], object]:
    model, x = problem.model(device=device), problem.features(device=device)
    return partial(_dense, model, x)


def _dense(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return jacobian(model, x, engine="structured").dense(torch.float32)
