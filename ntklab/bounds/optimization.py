"""How fast linearised training can be (eqs 10, 22): envelopes and the exact sum over modes.

Squared loss ½‖f − y‖² and a kernel that stays: ṙ = −K r for the flow, r ← (I − ηK) r for gradient
descent. Time is learning rate times steps; for a loss averaged over N samples divide it by N. The
bounds are on ‖r_t‖; the loss is half its square. Cross-entropy has `cross_entropy_bound`.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.bounds.bound import Assumption, Bound, conclude
from ntklab.bounds.cross_entropy import FIXED_KERNEL
from ntklab.bounds.norms import modes
from ntklab.bounds.rademacher import nonsingular
from ntklab.errors import InputError
from ntklab.spectrum import Spectrum
from ntklab.spectrum.operator import check_kernel

Loss = Literal["squared", "cross-entropy"]


@dataclass(frozen=True, eq=False)
class ResidualModes:
    """A residual r₀ in the eigenbasis of a kernel. Make one with `residual_modes`.

    Attributes:
        spectrum: of K.
        values: λ_i > 0, shape (rank,).
        energy: ⟨v_i, r₀⟩².
        unreachable: ‖P_ker r₀‖².
        norm: ‖r₀‖.
    """

    spectrum: Spectrum
    values: Float[Tensor, " rank"]
    energy: Float[Tensor, " rank"]
    unreachable: float
    norm: float

    def after_flow(self, time: float) -> float:
        """‖r_t‖ = √(Σ e^(−2λ_i t)⟨v_i, r₀⟩² + ‖P_ker r₀‖²)."""
        kept = (self.energy * torch.exp(-2 * self.values * _time(time))).sum()
        return math.sqrt(float(kept) + self.unreachable)

    def after_descent(self, steps: int, rate: float) -> float:
        """‖r_t‖ after `steps` of gradient descent with learning rate η: factors (1 − ηλ_i)^t."""
        factors = (1 - rate * self.values).abs() ** (2 * _steps(steps))
        return math.sqrt(float((self.energy * factors).sum()) + self.unreachable)

    def rate_after_flow(self, time: float) -> float:
        """ρ_t = r_tᵀ K r_t/‖r_t‖² of the flow: −d ln‖r_t‖/dt, non-increasing in t."""
        kept = self.energy * torch.exp(-2 * self.values * _time(time))
        total = float(kept.sum()) + self.unreachable
        return float((kept * self.values).sum()) / total if total > 0 else 0.0


def residual_modes(spectrum: Spectrum, residual: Tensor) -> ResidualModes:
    """Split r₀ = f₀ − y over a kernel's eigenvectors.

    Args:
        spectrum: with eigenvectors.
        residual: (N, C) or (N·C,).

    Raises:
        InputError: no eigenvectors, or a residual that does not fit or is zero.

    Example:
        >>> from ntklab.spectrum import spectrum
        >>> r = residual_modes(spectrum(torch.diag(torch.tensor([1.0, 0.0])), vectors=True),
        ...                    torch.tensor([4.0, 3.0]))
        >>> r.norm, r.after_flow(100.0), r.rate_after_flow(0.0)
        (5.0, 3.0, 0.64)
    """
    values, energy, unreachable, total = modes(spectrum, residual)
    return ResidualModes(spectrum, values, energy, unreachable, math.sqrt(total))


def flow_bound(
    start: ResidualModes, time: float, *, loss: Loss = "squared", measured: float | None = None
) -> Bound:
    """‖r_t‖ ≤ e^(−λ_min t)‖r₀‖ (eq 10/22). No value if λ_min = 0 or the loss is cross-entropy.

    Args:
        start: from `residual_modes`.
        time: t ≥ 0.
        loss: what the model is trained with; the rate is false for "cross-entropy" (theory P9).
        measured: ‖r_t‖.

    Example:
        >>> from ntklab.spectrum import spectrum
        >>> r = residual_modes(spectrum(torch.eye(2), vectors=True), torch.tensor([3.0, 4.0]))
        >>> round(flow_bound(r, 1.0).value, 6)
        1.839397
        >>> flow_bound(r, 1.0, loss="cross-entropy").reason
        'the loss is squared fails: cross-entropy falls like 1/t under a fixed kernel'
    """
    lam = start.spectrum.lambda_min
    return conclude(
        lambda: math.exp(-lam * _time(time)) * start.norm,
        name="flow-lambda-min",
        equation="10/22",
        form="paper",
        bounds=_residual(time),
        ingredients={"lambda_min": lam, "time": time, "initial": start.norm},
        assumptions=(nonsingular(start.spectrum), _squared(loss), FIXED_KERNEL),
        trivial=start.norm,
        measured=measured,
    )


def projected_flow_bound(
    start: ResidualModes, time: float, *, measured: float | None = None
) -> Bound:
    """‖r_t‖² ≤ e^(−2λ_min⁺ t)‖P_ran r₀‖² + ‖P_ker r₀‖² (eq 10/22, mended for singular K).

    Args:
        start: from `residual_modes`.
        time: t ≥ 0.
        measured: ‖r_t‖, of the whole residual.

    Example:
        >>> from ntklab.spectrum import spectrum
        >>> K = torch.diag(torch.tensor([1.0, 0.0]))
        >>> r = residual_modes(spectrum(K, vectors=True), torch.tensor([4.0, 3.0]))
        >>> projected_flow_bound(r, 100.0).value
        3.0
    """
    lam = start.spectrum.lambda_min_nonzero or 0.0
    inside = float(start.energy.sum())
    return conclude(
        lambda: math.sqrt(math.exp(-2 * lam * _time(time)) * inside + start.unreachable),
        name="flow-projected",
        equation="10/22",
        form="mended",
        bounds=_residual(time),
        ingredients={
            "lambda_min_nonzero": lam,
            "time": time,
            "in_range": math.sqrt(inside),
            "in_kernel": math.sqrt(start.unreachable),
        },
        assumptions=(FIXED_KERNEL,),
        trivial=start.norm,
        measured=measured,
    )


def flow_prediction(start: ResidualModes, time: float, *, measured: float | None = None) -> Bound:
    """‖r_t‖ mode by mode: an equality for a fixed kernel, and the least of all these envelopes.

    Args:
        start: from `residual_modes`.
        time: t ≥ 0.
        measured: ‖r_t‖.
    """
    return conclude(
        lambda: start.after_flow(time),
        name="flow-modes",
        equation="10/22",
        form="sharper",
        bounds=_residual(time),
        ingredients={"time": time, "initial": start.norm, "rate": start.rate_after_flow(time)},
        assumptions=(FIXED_KERNEL,),
        trivial=start.norm,
        measured=measured,
    )


def descent_bound(
    start: ResidualModes, steps: int, rate: float, *, measured: float | None = None
) -> Bound:
    """‖r_t‖ ≤ ρ^t‖r₀‖, ρ = max(|1 − ηλ_min|, |1 − ηλ_max|), if η < 2/λ_max and λ_min > 0.

    Args:
        start: from `residual_modes`.
        steps: t.
        rate: η, of the loss ½‖f − y‖².
        measured: ‖r_t‖.

    Example:
        >>> from ntklab.spectrum import spectrum
        >>> K = spectrum(torch.diag(torch.tensor([1.0, 3.0])), vectors=True)
        >>> r = residual_modes(K, torch.tensor([3.0, 4.0]))
        >>> descent_bound(r, 2, 0.5).value, descent_bound(r, 2, 1.0).reason
        (1.25, 'η < 2/λ_max fails: η = 1, 2/λ_max = 0.666667')
    """
    lam, top = start.spectrum.lambda_min, start.spectrum.lambda_max
    worst = max(abs(1 - rate * lam), abs(1 - rate * top))
    return conclude(
        lambda: worst ** _steps(steps) * start.norm,
        name="descent-contraction",
        equation="10/22",
        form="mended",
        bounds=_residual_after(steps),
        ingredients={**_of_descent(start, steps, rate), "contraction": worst},
        assumptions=(stable_step(start.spectrum, rate), nonsingular(start.spectrum), FIXED_KERNEL),
        trivial=start.norm,
        measured=measured,
    )


def descent_envelope(
    start: ResidualModes, steps: int, rate: float, *, measured: float | None = None
) -> Bound:
    """‖r_t‖ ≤ e^(−η λ_min t)‖r₀‖: eq 10/22 read as gradient descent, where that is true.

    Since 1 − x ≤ e^(−x), it needs only that the largest eigenvalue contracts as fast:
    |1 − ηλ_max| ≤ e^(−ηλ_min). Every η ≤ 2/(λ_min + λ_max) satisfies this, so η ≤ 1/λ_max does.

    Args:
        start: from `residual_modes`.
        steps: t.
        rate: η.
        measured: ‖r_t‖.
    """
    lam, top = start.spectrum.lambda_min, start.spectrum.lambda_max
    fastest, allowed = abs(1 - rate * top), math.exp(-rate * lam)
    covers = Assumption(
        "|1 − ηλ_max| ≤ e^(−ηλ_min)", fastest <= allowed, f"{fastest:.6g} against {allowed:.6g}"
    )
    return conclude(
        lambda: math.exp(-rate * lam * _steps(steps)) * start.norm,
        name="descent-envelope",
        equation="10/22",
        form="paper",
        bounds=_residual_after(steps),
        ingredients=_of_descent(start, steps, rate),
        assumptions=(
            stable_step(start.spectrum, rate),
            nonsingular(start.spectrum),
            covers,
            FIXED_KERNEL,
        ),
        trivial=start.norm,
        measured=measured,
    )


def descent_prediction(
    start: ResidualModes, steps: int, rate: float, *, measured: float | None = None
) -> Bound:
    """‖r_t‖ of gradient descent mode by mode: an equality for a fixed kernel, stable or not.

    Args:
        start: from `residual_modes`.
        steps: t.
        rate: η.
        measured: ‖r_t‖.

    Example:
        >>> from ntklab.spectrum import spectrum
        >>> r = residual_modes(spectrum(torch.eye(1), vectors=True), torch.ones(1))
        >>> descent_prediction(r, 3, 0.5).value
        0.125
    """
    return conclude(
        lambda: start.after_descent(steps, rate),
        name="descent-modes",
        equation="10/22",
        form="sharper",
        bounds=_residual_after(steps),
        ingredients=_of_descent(start, steps, rate),
        assumptions=(FIXED_KERNEL,),
        trivial=start.norm,
        measured=measured,
    )


def drift_bound(
    spectrum: Spectrum,
    *,
    drift: float,
    initial: float,
    time: float,
    measured: float | None = None,
) -> Bound:
    """‖r_t‖ ≤ e^(−(λ_min(K₀) − δ) t)‖r₀‖ with δ ≥ sup_s ‖K_s − K₀‖₂ (eq 10/22, moving kernel).

    By Weyl λ_min(K_s) ≥ λ_min(K₀) − δ along the whole run.

    Args:
        spectrum: of K₀.
        drift: δ, in spectral norm (the Frobenius norm is above it).
        initial: ‖r₀‖.
        time: t ≥ 0 of gradient flow.
        measured: ‖r_t‖.

    Example:
        >>> from ntklab.spectrum import spectrum
        >>> drift_bound(spectrum(torch.eye(2)), drift=2.0, initial=1.0, time=1.0).reason
        'λ_min(K₀) > drift fails: 1 against 2'
    """
    if not drift >= 0 or not initial >= 0:
        raise InputError(f"drift={drift} and initial={initial} are norms: give numbers ≥ 0.")
    lam = spectrum.lambda_min
    stays = Assumption("λ_min(K₀) > drift", lam > drift, f"{lam:.6g} against {drift:.6g}")
    whole = Assumption(
        "the drift is a supremum over the whole run", None, "measured at checkpoints at best"
    )
    return conclude(
        lambda: math.exp(-(lam - drift) * _time(time)) * initial,
        name="flow-drift",
        equation="10/22",
        form="mended",
        bounds=_residual(time),
        ingredients={"lambda_min": lam, "drift": drift, "initial": initial, "time": time},
        assumptions=(stays, whole),
        trivial=initial,
        measured=measured,
    )


def effective_rate(kernel: Float[Tensor, "n n"], residual: Tensor) -> float:
    """ρ = rᵀKr/‖r‖²: the exact instantaneous rate −d ln‖r‖/dt, singular or drifting K included.

    Raises:
        InputError: a residual that does not fit the kernel or is zero.

    Example:
        >>> effective_rate(torch.diag(torch.tensor([2.0, 0.0])), torch.tensor([1.0, 1.0]))
        1.0
    """
    K = check_kernel(kernel)
    r = residual.detach().to(K).reshape(-1)
    energy = float(r @ r)
    if len(r) != K.shape[0] or not 0 < energy < math.inf:
        raise InputError(
            f"a residual of {len(r)} numbers and energy {energy} does not fit a kernel of "
            f"{K.shape[0]} rows: give N·C finite numbers, not all zero."
        )
    return float(r @ K @ r) / energy


def kernel_growth_bound(
    outputs: Tensor,
    *,
    parameter_norm: float,
    degree_sum: float,
    measured: float | None = None,
) -> Bound:
    """λ_max(K) ≥ (p ‖f‖/‖θ‖)², p = Σ degrees over the blocks of θ (theory P5; Euler).

    If f is homogeneous of degree q_k in block k, J θ = Σ q_k f = p f, so a kernel *must* grow with
    its outputs. p = 2K for a linear or ReLU TensorGuide of K cores, the number of cores for LoRA
    (2), TT-LoRA and TT-delta.

    Args:
        outputs: f − base, in any shape.
        parameter_norm: ‖θ‖ > 0.
        degree_sum: p.
        measured: λ_max at the same parameters.

    Raises:
        InputError: a parameter norm that is not positive.

    Example:
        >>> kernel_growth_bound(torch.tensor([3.0, 4.0]), parameter_norm=2.0, degree_sum=2).value
        25.0
    """
    if not 0 < parameter_norm < math.inf:
        raise InputError(f"parameter_norm={parameter_norm} must be positive and finite.")
    size = float(outputs.detach().to(torch.float64).norm())
    homogeneous = Assumption(
        "f − base is homogeneous in every block of θ", None, "true for σ = identity or ReLU"
    )
    return conclude(
        lambda: (degree_sum * size / parameter_norm) ** 2,
        name="kernel-growth",
        equation="10/22",
        form="sharper",
        bounds="largest eigenvalue of the kernel at these parameters",
        ingredients={
            "output_norm": size,
            "parameter_norm": parameter_norm,
            "degree_sum": degree_sum,
        },
        assumptions=(homogeneous,),
        direction="lower",
        trivial=0.0,
        measured=measured,
    )


def stable_step(spectrum: Spectrum, rate: float) -> Assumption:
    """η < 2/λ_max, without which gradient descent diverges."""
    if not rate > 0:
        raise InputError(f"rate={rate} is a learning rate: give a positive number.")
    limit = 2 / spectrum.lambda_max if spectrum.lambda_max > 0 else math.inf
    return Assumption("η < 2/λ_max", rate < limit, f"η = {rate:.6g}, 2/λ_max = {limit:.6g}")


def _squared(loss: Loss) -> Assumption:
    if loss not in ("squared", "cross-entropy"):
        raise InputError(f"loss '{loss}' is not known: give 'squared' or 'cross-entropy'.")
    if loss == "squared":
        return Assumption("the loss is squared", True, "as told")
    return Assumption(
        "the loss is squared", False, "cross-entropy falls like 1/t under a fixed kernel"
    )


def _of_descent(start: ResidualModes, steps: int, rate: float) -> dict[str, float]:
    return {
        "lambda_min": start.spectrum.lambda_min,
        "lambda_max": start.spectrum.lambda_max,
        "rate": rate,
        "steps": float(_steps(steps)),
        "initial": start.norm,
    }


def _residual(time: float) -> str:
    return f"norm of the training residual at time {_time(time):g}"


def _residual_after(steps: int) -> str:
    return f"norm of the training residual after {_steps(steps)} steps"


def _time(time: float) -> float:
    if not time >= 0:
        raise InputError(f"time={time} must be a number ≥ 0.")
    return time


def _steps(steps: int) -> int:
    if steps < 0:
        raise InputError(f"steps={steps} must be ≥ 0.")
    return steps
