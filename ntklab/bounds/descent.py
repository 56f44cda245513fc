"""Gradient descent on a linearised model, step by step (eqs 10, 22): r ← (I − ηK) r.

η is the learning rate of ½‖f − y‖² summed over samples; for a mean over samples it is η_mean/N.
"""

import math

from ntklab.bounds.bound import Assumption, Bound, conclude
from ntklab.bounds.cross_entropy import FIXED_KERNEL
from ntklab.bounds.rademacher import nonsingular
from ntklab.bounds.residual import ResidualModes, check_steps
from ntklab.errors import InputError
from ntklab.spectra import Spectrum


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
        >>> import torch
        >>> from ntklab.bounds import residual_modes
        >>> from ntklab.spectra import spectrum
        >>> K = spectrum(torch.diag(torch.tensor([1.0, 3.0])), vectors=True)
        >>> r = residual_modes(K, torch.tensor([3.0, 4.0]))
        >>> descent_bound(r, 2, 0.5).value, descent_bound(r, 2, 1.0).reason
        (1.25, 'η < 2/λ_max fails: η = 1, 2/λ_max = 0.666667')
    """
    lam, top = start.spectrum.lambda_min, start.spectrum.lambda_max
    worst = max(abs(1 - rate * lam), abs(1 - rate * top))
    return conclude(
        lambda: worst ** check_steps(steps) * start.norm,
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
        lambda: math.exp(-rate * lam * check_steps(steps)) * start.norm,
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
        >>> import torch
        >>> from ntklab.bounds import residual_modes
        >>> from ntklab.spectra import spectrum
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


def stable_step(spectrum: Spectrum, rate: float) -> Assumption:
    """η < 2/λ_max, without which gradient descent diverges."""
    if not rate > 0:
        raise InputError(f"rate={rate} is a learning rate: give a positive number.")
    limit = 2 / spectrum.lambda_max if spectrum.lambda_max > 0 else math.inf
    return Assumption("η < 2/λ_max", rate < limit, f"η = {rate:.6g}, 2/λ_max = {limit:.6g}")


def _of_descent(start: ResidualModes, steps: int, rate: float) -> dict[str, float]:
    return {
        "lambda_min": start.spectrum.lambda_min,
        "lambda_max": start.spectrum.lambda_max,
        "rate": rate,
        "steps": float(check_steps(steps)),
        "initial": start.norm,
    }


def _residual_after(steps: int) -> str:
    return f"norm of the training residual after {check_steps(steps)} steps"
