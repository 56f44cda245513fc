"""The certificate: does NTK theory describe this run?"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ntklab.errors import InputError

# A kernel that changes by a tenth changes its rates by a tenth (Weyl): predictions then hold to
# about as much, which is what theory's check of eq 10 asks.
DRIFT_LIMIT = 0.1

# The part of the movement that the tangent model misses (eq 14); a tenth for the same reason.
LINEARIZATION_LIMIT = 0.1

# A lazy index above LAZY_LIMIT/(D − 1) refuses a run; one below it promises nothing, which is why
# `regime` says yes on measured figures only. Along θ itself a model homogeneous of degree D leaves,
# after a relative step ε, a second-order part of (D − 1) ε/2 of the first: a tenth at
# ε = 0.2/(D − 1). Its kernel has then drifted by (1 + ε)^(2D − 2) − 1, nearly a half. Along other
# directions the degree bounds neither: a residual that only weak entries of θ can meet may cost any
# miss at any index. Nor does another constant part the runs that were measured: a TensorGuide
# (D = 8) missed more than a tenth at 0.028/(D − 1) (eq 14, docs/claims/tensorguide), and LoRA
# (D = 2) kept both limits at 0.155/(D − 1) (figures/records/dynamics-lora). The curvature
# along the displacement would decide, ‖f''[Δ, Δ]‖/(2 ‖J Δ‖), not the degree.
LAZY_LIMIT = 0.2


@dataclass(frozen=True)
class Regime:
    """Whether the kernel at the start describes the run, and why.

    Attributes:
        valid: something was measured, and every figure that is known is within its limit.
        reasons: one sentence part a figure: those that fail if any does, else those that hold.
        drift: largest ‖K_t − K_0‖/‖K_0‖ along the run.
        linearization_error: largest ‖f_t − f_lin‖/‖f_t − f_0‖ along the run.
        lazy_index: relative displacement that the linearized model needs.
        forced_drift: the least drift that Euler's identity forces (theory P5).

    Example:
        >>> print(regime(drift=0.3, lazy_index=64.0, degree=2))
        NTK regime: no, because the kernel drifted by 0.3 (limit 0.1) and the lazy index is 64 \
(limit 0.2 at degree 2).
        >>> regime(drift=0.01).valid
        True
    """

    valid: bool
    reasons: tuple[str, ...]
    drift: float | None = None
    linearization_error: float | None = None
    lazy_index: float | None = None
    forced_drift: float | None = None

    def __str__(self) -> str:
        *others, last = self.reasons
        joined = f"{', '.join(others)} and {last}" if others else last
        return f"NTK regime: {'yes' if self.valid else 'no'}, because {joined}."

    def as_row(self) -> dict[str, object]:
        """Flat columns for a record."""
        return {
            "ntk_regime": self.valid,
            "ntk_regime_because": "; ".join(self.reasons),
            "drift_max": self.drift,
            "linearization_error_max": self.linearization_error,
            "lazy_index": self.lazy_index,
            "forced_drift": self.forced_drift,
        }


def regime(
    *,
    drift: float | None = None,
    linearization_error: float | None = None,
    lazy_index: float | None = None,
    degree: int | None = None,
    forced_drift: float | None = None,
    optimizer: str | None = None,
    diverged: bool = False,
) -> Regime:
    """The verdict "NTK regime: yes / no, because …" from computed figures.

    Yes needs a measured figure (drift or linearization error) and every known one within its
    limit: drift and forced drift below 0.1, linearization error below 0.1, lazy index at most
    0.2/(D − 1). The last two can refuse a run before it is made, but not vouch for it, unless the
    model is linear in its parameters (D = 1). Adam fails by itself: its steps are not those of the
    kernel (theory §5). A figure that is NaN fails.

    Args:
        drift: largest along the run, see `TangentObserver`.
        linearization_error: largest along the run.
        lazy_index: see `ntklab.dynamics.lazy_index`; for a run of finite length, the linearized
            run's displacement over ‖θ_0‖ is the fairer figure.
        degree: D of the model, see `total_degree`; 2 if None.
        forced_drift: see `forced_drift`.
        optimizer: `gd`, `sgd` or `adam`.
        diverged: whether the run diverged.

    Raises:
        InputError: no figure at all.
    """
    figures = {
        "the kernel drifted by": (drift, DRIFT_LIMIT, ""),
        "the linearization misses": (linearization_error, LINEARIZATION_LIMIT, " of the movement"),
        "the lazy index is": (lazy_index, _lazy_limit(degree), _at_degree(degree)),
        "the outputs force a drift of": (forced_drift, DRIFT_LIMIT, ""),
    }
    known = {k: v for k, v in figures.items() if v[0] is not None}
    if not known:
        raise InputError(
            "a regime needs at least one figure: drift, linearization error, lazy index or forced "
            "drift."
        )
    passed: list[str] = []
    failed: list[str] = []
    for words, (value, limit, rest) in known.items():
        assert value is not None
        where = passed if value <= limit else failed
        where.append(_sentence(words, value, limit, rest))
    if drift is None and linearization_error is None and degree != 1:
        failed.append("neither drift nor linearization error was measured")
    if optimizer == "adam":
        failed.append("Adam's steps do not follow the kernel")
    if diverged:
        failed.append("the run diverged")
    return Regime(
        not failed, tuple(failed or passed), drift, linearization_error, lazy_index, forced_drift
    )


def regime_of_rows(rows: Iterable[Mapping[str, object]], **figures: object) -> Regime:
    """The verdict on a measured run: the largest figures over its rows.

    Args:
        rows: with the columns `drift` and `linearization_error` of `TangentObserver`.
        **figures: what else is known, see `regime`.

    Example:
        >>> regime_of_rows([{"drift": 0.0}, {"drift": 0.25}], optimizer="gd").drift
        0.25
    """
    checkpoints = list(rows)
    largest = {name: largest_figure(checkpoints, name) for name in ("drift", "linearization_error")}
    return regime(**{**largest, **figures})  # type: ignore[arg-type]


def largest_figure(rows: Iterable[Mapping[str, object]], name: str) -> float | None:
    """The largest value of a column along a run; NaN if any is, None if none is known.

    Example:
        >>> largest_figure([{"drift": 0.1}, {"drift": float("nan")}, {"drift": 0.2}], "drift")
        nan
    """
    values = [float(row[name]) for row in rows if row.get(name) is not None]  # type: ignore[arg-type]
    if any(map(math.isnan, values)):  # a NaN anywhere is the worst there is
        return float("nan")
    return max(values, default=None)


def forced_drift(euler_bound: float, kernel_max: float, kernel_norm: float) -> float:
    """The least ‖K_t − K_0‖/‖K_0‖ that a lower bound on λ_max(K_t) forces (theory P5).

    ‖K_t − K_0‖_F ≥ λ_max(K_t) − λ_max(K_0) by Weyl. With the outputs that are to be reached in
    the bound, this is known before training.

    Args:
        euler_bound: below λ_max(K_t), see `ntklab.bounds.kernel_growth_bound`.
        kernel_max: λ_max(K_0).
        kernel_norm: ‖K_0‖, Frobenius.

    Example:
        >>> forced_drift(9.0, 4.0, 10.0), forced_drift(1.0, 4.0, 10.0)
        (0.5, 0.0)
    """
    return max(0.0, euler_bound - kernel_max) / kernel_norm


def _lazy_limit(degree: int | None) -> float:
    order = 2 if degree is None else degree
    return LAZY_LIMIT / (order - 1) if order > 1 else float("inf")


def _at_degree(degree: int | None) -> str:
    return "" if degree is None else f" at degree {degree}"


def _sentence(words: str, value: float, limit: float, rest: str) -> str:
    if rest.startswith(" at"):
        return f"{words} {value:.2g} (limit {limit:.2g}{rest})"
    return f"{words} {value:.2g}{rest} (limit {limit:.2g})"
