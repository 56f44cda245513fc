"""Bounds from the fit itself: how large a ball these labels need, and what then follows for risk.

All are for the clipped loss min(‖f(x) − y‖₂, 1), which is 1-Lipschitz, lies in [0, 1], and for
labels ±1 and one output is never below the 0-1 loss of sign f. Labels are y − f₀, as everywhere.
"""

import math

import torch
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.bounds.bound import Assumption, Bound, conclude
from ntklab.bounds.generalization import INDEPENDENT, deviation_term, radius_grid
from ntklab.bounds.norms import Fit, early_stopped_fit
from ntklab.bounds.rademacher import COMPLEXITY, nonsingular
from ntklab.errors import InputError
from ntklab.spectra import Spectrum
from ntklab.spectra.operator import check_kernel

CLIPPED = "risk of the clipped loss min(‖f − y‖, 1) on new samples"


@takes_arrays
def fit_bound(
    spectrum: Spectrum,
    labels: Tensor,
    *,
    n_samples: int | None = None,
    time: float = math.inf,
    measured: float | None = None,
) -> Bound:
    """R_S ≤ (1/N) √(yᵀK⁺y · tr K) of the ball through the fit; B_t instead of √(yᵀK⁺y) at time t.

    At t = ∞ never below √((tr K/λ_max)/N) times the root mean square of P_ran y (theory P6): only
    labels aligned with the top of the spectrum make it small. Singular K is fine; what the fit
    leaves, ‖P_ker y‖², is the ingredient `unfitted`.

    Args:
        spectrum: of K, with eigenvectors.
        labels: y − f₀, (N, C) or (N·C,).
        n_samples: N; the size of the spectrum if left out.
        time: of gradient flow ṙ = −K r; inf for the minimum-norm fit.
        measured: R_S at that radius.

    Raises:
        InputError: no eigenvectors, labels that do not fit or are zero, a negative time.

    Example:
        >>> from ntklab.spectra import spectrum
        >>> fit_bound(spectrum(4 * torch.eye(4), vectors=True), torch.ones(4)).value
        1.0
    """
    samples = _samples(spectrum, n_samples)
    fit = early_stopped_fit(spectrum, labels, time)
    return conclude(
        lambda: fit.radius * math.sqrt(spectrum.trace) / samples,
        name="fit" if math.isinf(time) else "fit-early-stopped",
        equation="19",
        form="sharper",
        bounds=COMPLEXITY + " that holds the fit",
        ingredients={**_of_fit(fit), "trace": spectrum.trace, "n_samples": float(samples)},
        measured=measured,
    )


@takes_arrays
def fit_risk_bound(
    spectrum: Spectrum,
    labels: Tensor,
    *,
    n_samples: int | None = None,
    time: float = math.inf,
    delta: float = 0.05,
    unit: float = 1.0,
    measured: float | None = None,
) -> Bound:
    """R ≤ √(‖f − y‖²/N) + 2 [√2] (B_j/N) √tr K + 3 √(ln(2/δ_j)/(2N)) for the clipped loss.

    The training risk is bounded by what the fit leaves (Cauchy–Schwarz), the ball is the first of
    `radius_grid` that holds it, so nothing is chosen before the data but `unit`.

    Args:
        spectrum: of K, with eigenvectors.
        labels: y − f₀, (N, C) or (N·C,).
        n_samples: N; the size of the spectrum (one output) if left out.
        time: of gradient flow; inf for the minimum-norm fit.
        delta: probability of failure, split over the grid.
        unit: B_0 of the grid.
        measured: the clipped risk on held-out samples.

    Raises:
        InputError: as `fit_bound`, or delta outside (0, 1).

    Example:
        >>> from ntklab.spectra import spectrum
        >>> bound = fit_risk_bound(spectrum(torch.ones(99, 99), vectors=True), 0.9 * torch.ones(99))
        >>> round(bound.value, 3), bound.reason
        (0.637, None)
    """
    samples = _samples(spectrum, n_samples)
    fit = early_stopped_fit(spectrum, labels, time)
    cell = radius_grid(fit.radius, delta, unit=unit)
    contraction = 2 * (math.sqrt(2) if spectrum.size > samples else 1)
    terms = {
        "train_risk": min(1.0, math.sqrt(fit.unfitted / samples)),
        "complexity": contraction * cell.radius * math.sqrt(spectrum.trace) / samples,
        "deviation": deviation_term(1.0, samples, cell.delta),
    }
    return conclude(
        lambda: sum(terms.values()),
        name="fit-risk" if math.isinf(time) else "fit-risk-early-stopped",
        equation="20",
        form="sharper",
        bounds=CLIPPED,
        ingredients={
            **terms,
            **_of_fit(fit),
            "grid_radius": cell.radius,
            "grid_delta": cell.delta,
            "trace": spectrum.trace,
            "n_samples": float(samples),
            "delta": delta,
        },
        assumptions=(INDEPENDENT,),
        trivial=1.0,
        measured=measured,
    )


@takes_arrays
def arora_bound(
    kernel: Tensor,
    spectrum: Spectrum,
    labels: Tensor,
    *,
    n_samples: int | None = None,
    measured: float | None = None,
) -> Bound:
    """√(2 yᵀH⁻¹y/N), the leading term of Arora et al. 2019 (Theorem 5.1), H = K/(2κ²).

    Their H^∞ (unit inputs, ReLU, first layer trained) has ½ on its diagonal; the term is twice the
    trace form, 2 (1/N) √(yᵀH⁻¹y · tr H), at tr H = N/2. A kernel with another constant diagonal κ²
    is brought to ½ first, which changes neither side: on a unit diagonal it reads 2√(yᵀK⁻¹y/N), and
    √(2 yᵀK⁻¹y/N) there would be too small by √2. Their remainder O(√(ln(N/λ₀δ)/N)) has no stated
    constant and is not included; `fit_risk_bound` is the complete statement.

    Args:
        kernel: K, (N, N), for the check of the diagonal.
        spectrum: of the same kernel, with eigenvectors.
        labels: y − f₀, (N,).
        n_samples: N; the size of the spectrum if left out.
        measured: twice the R_S of the ball that holds the interpolant.

    Raises:
        InputError: no eigenvectors, or labels that do not fit.

    Example:
        >>> from ntklab.spectra import spectrum
        >>> H = torch.eye(8) / 2
        >>> arora_bound(H, spectrum(H, vectors=True), torch.ones(8)).value
        2.0
    """
    samples = _samples(spectrum, n_samples)
    diagonal = check_kernel(kernel).diagonal()
    low, high = float(diagonal.min()), float(diagonal.max())
    fit = early_stopped_fit(spectrum, labels, math.inf)
    quadratic = fit.radius**2
    constant = Assumption(
        "K has a constant diagonal and one output",
        high - low <= 1e-6 * high and spectrum.size == samples,
        f"diagonal in [{low:.6g}, {high:.6g}], {spectrum.size // samples} output(s)",
    )
    return conclude(
        lambda: math.sqrt(2 * (2 * high) * quadratic / samples),
        name="arora-2019",
        equation="20",
        form="sharper",
        bounds="twice the " + COMPLEXITY + " that holds the interpolant",
        ingredients={
            "quadratic_form": quadratic,
            "diagonal": high,
            "n_samples": float(samples),
        },
        assumptions=(nonsingular(spectrum), constant),
        trivial=1.0,
        measured=measured,
    )


def _samples(spectrum: Spectrum, n_samples: int | None) -> int:
    samples = spectrum.size if n_samples is None else n_samples
    if samples < 1 or spectrum.size % samples:
        raise InputError(
            f"n_samples={samples} does not divide the {spectrum.size} rows of the kernel: give N "
            "so that the rows are N·C."
        )
    return samples


def _of_fit(fit: Fit) -> dict[str, float]:
    ingredients = {"radius": fit.radius, "unfitted": fit.unfitted, "label_energy": fit.total}
    return ingredients if math.isinf(fit.time) else {**ingredients, "time": fit.time}


@takes_arrays
def clipped_risk(outputs: Tensor, targets: Tensor) -> float:
    """Mean of min(‖f(x) − y‖₂, 1): what `fit_risk_bound` bounds, as measured.

    Args:
        outputs: f, (N,) or (N, C).
        targets: y, same shape.

    Example:
        >>> clipped_risk(torch.tensor([0.0, 0.5]), torch.tensor([3.0, 1.0]))
        0.75
    """
    gaps = (outputs - targets).to(torch.float64).reshape(len(outputs), -1).norm(dim=1)
    return float(gaps.clamp_max(1.0).mean())
