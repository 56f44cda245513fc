"""How fast gradient flow of a linearised model can be (eqs 10, 22), and that kernels must grow.

Squared loss ½‖f − y‖² and a kernel that stays: ṙ = −K r. Time is learning rate times steps; for a
loss averaged over N samples divide it by N. The bounds are on ‖r_t‖; the loss is half its square.
Discrete steps have `descent_bound`, cross-entropy has `cross_entropy_bound`.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.bounds.bound import Assumption, Bound, conclude
from ntklab.bounds.cross_entropy import FIXED_KERNEL
from ntklab.bounds.rademacher import nonsingular
from ntklab.bounds.residual import ResidualModes, check_time
from ntklab.errors import InputError
from ntklab.spectra import Spectrum

Loss = Literal["squared", "cross-entropy"]


def decay_rate(lambda_min: float, *, of: Literal["residual", "squared-loss"] = "residual") -> float:
    """The rate of eq 10/22: λ_min for the residual's norm, 2λ_min for the squared loss.

    ‖r_t‖ ≤ e^(−λ_min t)‖r_0‖, and the squared loss ½‖r_t‖² falls twice as fast. Every envelope of
    this library takes its rate from here; which of the two it bounds is said where it is shown.

    Args:
        lambda_min: λ_min(K).
        of: the quantity that the envelope bounds.

    Example:
        >>> decay_rate(0.5), decay_rate(0.5, of="squared-loss")
        (0.5, 1.0)
    """
    return 2.0 * lambda_min if of == "squared-loss" else lambda_min


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
        >>> from ntklab.bounds import residual_modes
        >>> from ntklab.spectra import spectrum
        >>> r = residual_modes(spectrum(torch.eye(2), vectors=True), torch.tensor([3.0, 4.0]))
        >>> round(flow_bound(r, 1.0).value, 6)
        1.839397
        >>> flow_bound(r, 1.0, loss="cross-entropy").reason
        'the loss is squared fails: cross-entropy falls like 1/t under a fixed kernel'
    """
    lam = start.spectrum.lambda_min
    return conclude(
        lambda: math.exp(-decay_rate(lam) * check_time(time)) * start.norm,
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
        >>> from ntklab.bounds import residual_modes
        >>> from ntklab.spectra import spectrum
        >>> K = torch.diag(torch.tensor([1.0, 0.0]))
        >>> r = residual_modes(spectrum(K, vectors=True), torch.tensor([4.0, 3.0]))
        >>> projected_flow_bound(r, 100.0).value
        3.0
    """
    lam = start.spectrum.lambda_min_nonzero or 0.0
    inside = float(start.energy.sum())
    return conclude(
        lambda: math.sqrt(
            math.exp(-decay_rate(lam, of="squared-loss") * check_time(time)) * inside
            + start.unreachable
        ),
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
        >>> from ntklab.spectra import spectrum
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
        lambda: math.exp(-(lam - drift) * check_time(time)) * initial,
        name="flow-drift",
        equation="10/22",
        form="mended",
        bounds=_residual(time),
        ingredients={"lambda_min": lam, "drift": drift, "initial": initial, "time": time},
        assumptions=(stays, whole),
        trivial=initial,
        measured=measured,
    )


@takes_arrays
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


def _squared(loss: Loss) -> Assumption:
    if loss not in ("squared", "cross-entropy"):
        raise InputError(f"loss '{loss}' is not known: give 'squared' or 'cross-entropy'.")
    if loss == "squared":
        return Assumption("the loss is squared", True, "as told")
    return Assumption(
        "the loss is squared", False, "cross-entropy falls like 1/t under a fixed kernel"
    )


def _residual(time: float) -> str:
    return f"norm of the training residual at time {check_time(time):g}"
