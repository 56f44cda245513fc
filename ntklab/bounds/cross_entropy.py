"""Cross-entropy under a fixed kernel falls like 1/t, not exponentially (theory P9).

Gradient flow ḟ = −K (p − e_y) of the *summed* cross-entropy L = Σ_n ℓ_n, with λ the least
eigenvalue of the centred kernel: L̇ = −rᵀKr ≤ −λ‖r‖², ‖p − e_y‖² ≥ C/(C−1) (1 − e^(−ℓ))²,
1 − e^(−ℓ) ≥ ℓ/(1 + ℓ), ℓ_n ≤ L and Cauchy–Schwarz give L̇ ≤ −c L²/(1 + L)² with
c = C/(C−1) · λ/N, so Γ(L) = L + 2 ln L − 1/L falls at least at rate c.
"""

import math

from scipy.optimize import brentq

from ntklab.bounds.bound import Assumption, Bound, conclude
from ntklab.bounds.rademacher import nonsingular
from ntklab.errors import InputError
from ntklab.spectra import Spectrum


def gamma_transform(loss: float) -> float:
    """Γ(L) = L + 2 ln L − 1/L, increasing from −∞ to ∞ on L > 0.

    Example:
        >>> gamma_transform(1.0)
        0.0
    """
    if not 0 < loss < math.inf:
        raise InputError(f"loss={loss} must be positive and finite.")
    return loss + 2 * math.log(loss) - 1 / loss


def gamma_inverse(value: float) -> float:
    """The L > 0 with Γ(L) = value, to about 14 digits.

    Example:
        >>> round(gamma_inverse(gamma_transform(1e-6)) * 1e6, 9)
        1.0
    """
    if not math.isfinite(value):
        raise InputError(f"value={value} must be finite.")
    # In u = ln L the function is smooth at both ends, and ±ln(|value| + 2) bracket its root.
    edge = math.log(abs(value) + 2)
    root = brentq(
        lambda u: math.exp(u) + 2 * u - math.exp(-u) - value, -edge, edge, xtol=1e-15, rtol=1e-15
    )
    return math.exp(float(root))


def cross_entropy_bound(
    spectrum: Spectrum,
    *,
    initial_loss: float,
    time: float,
    n_samples: int,
    n_outputs: int,
    measured: float | None = None,
) -> Bound:
    """L(t) ≤ Γ⁻¹(Γ(L(0)) − c t) with c = C/(C−1) · λ_min/N (eq 10/22, mended for cross-entropy).

    Args:
        spectrum: of the *centred* kernel (`spectrum(J, centred=True)`), size N(C−1); for C = 2 the
            margin's kernel has twice its eigenvalues.
        initial_loss: L(0) > 0, summed over samples.
        time: t ≥ 0 of the flow on the summed loss; for the mean loss, learning rate times steps is
            N t.
        n_samples: N.
        n_outputs: C ≥ 2.
        measured: L(t), summed over samples.

    Raises:
        InputError: a loss that is not positive, a negative time, or a spectrum of another size.

    Example:
        >>> import torch
        >>> from ntklab.spectra import Spectrum
        >>> unit = Spectrum.from_values(torch.tensor([0.5]), size=1, centred=True)
        >>> bound = cross_entropy_bound(unit, initial_loss=0.6931, time=100.0, n_samples=1,
        ...                             n_outputs=2)
        >>> round(bound.value, 4)  # the exact loss is 0.0103, e^(−100) is 4e-44
        0.0108
    """
    if not time >= 0 or n_samples < 1 or n_outputs < 2:
        raise InputError(
            f"time={time} must be ≥ 0, n_samples={n_samples} at least 1, n_outputs={n_outputs} at "
            "least 2."
        )
    start = gamma_transform(initial_loss)
    expected = n_samples * (n_outputs - 1)
    if spectrum.size != expected:
        raise InputError(
            f"the spectrum has size {spectrum.size}, not N(C−1) = {expected}: take the spectrum of "
            "the centred kernel, the only part that softmax sees."
        )
    rate = n_outputs / (n_outputs - 1) * spectrum.lambda_min / n_samples
    return conclude(
        lambda: gamma_inverse(start - rate * time),
        name="cross-entropy-gamma",
        equation="10/22",
        form="mended",
        bounds="training cross-entropy at time t, summed over samples",
        ingredients={
            "initial_loss": initial_loss,
            "rate": rate,
            "lambda_min": spectrum.lambda_min,
            "time": time,
            "n_samples": float(n_samples),
            "n_outputs": float(n_outputs),
        },
        assumptions=(nonsingular(spectrum), FIXED_KERNEL),
        trivial=initial_loss,
        measured=measured,
    )


FIXED_KERNEL = Assumption(
    "the kernel stays as it was at the start", None, "measure the drift along the run"
)
