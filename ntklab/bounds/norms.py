"""How large a ball a fit needs: the RKHS norm of interpolation and of early stopping.

All labels here are what is left to fit, y − f₀(x), with f₀ the outputs before training. With
c_i = ⟨v_i, y⟩ in the kernel's eigenbasis, gradient flow ṙ = −K r reaches at time t the function
with coefficients (1 − e^(−λ_i t)) c_i, whose squared RKHS norm is Σ (1 − e^(−λ_i t))² c_i²/λ_i.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.errors import InputError
from ntklab.spectra import Spectrum, label_alignment


@dataclass(frozen=True)
class Fit:
    """A fit to labels by a linearised model.

    Attributes:
        radius: ‖f − f₀‖_H = ‖θ − θ₀‖, the least ball that holds the fit.
        unfitted: ‖f − y‖² on the training set.
        total: ‖y − f₀‖².
        time: of gradient flow; math.inf for the minimum-norm interpolant.
    """

    radius: float
    unfitted: float
    total: float
    time: float


@takes_arrays
def minimum_norm_fit(spectrum: Spectrum, labels: Tensor) -> Fit:
    """The limit of gradient flow: radius √(yᵀK⁺y), and ‖P_ker y‖² that is never fitted.

    Args:
        spectrum: with eigenvectors (`vectors=True`).
        labels: y − f₀, shape (N, C) or (N·C,).

    Raises:
        InputError: no eigenvectors, or labels that do not fit or are zero.

    Example:
        >>> from ntklab.spectra import spectrum
        >>> fit = minimum_norm_fit(spectrum(torch.diag(torch.tensor([4.0, 0.0])), vectors=True),
        ...                        torch.tensor([2.0, 3.0]))
        >>> fit.radius, fit.unfitted
        (1.0, 9.0)
    """
    return early_stopped_fit(spectrum, labels, math.inf)


@takes_arrays
def early_stopped_fit(spectrum: Spectrum, labels: Tensor, time: float) -> Fit:
    """Gradient flow stopped at t: B_t² = Σ c_i² (1 − e^(−λ_i t))²/λ_i (theory, eq 19).

    Time is that of ṙ = −K r, the squared loss ½‖f − y‖² with rate 1: learning rate times steps
    for a loss summed over samples, that divided by N for their mean.

    Args:
        spectrum: with eigenvectors.
        labels: y − f₀, shape (N, C) or (N·C,).
        time: t ≥ 0, inf allowed.

    Raises:
        InputError: a negative time, no eigenvectors, or labels that do not fit or are zero.

    Example:
        >>> from ntklab.spectra import spectrum
        >>> fit = early_stopped_fit(spectrum(torch.eye(1), vectors=True), torch.ones(1), 0.0)
        >>> fit.radius, fit.unfitted
        (0.0, 1.0)
    """
    if not time >= 0:
        raise InputError(f"time={time} must be a number ≥ 0.")
    values, energy, residual, total = modes(spectrum, labels)
    learned = -torch.expm1(-values * time)
    radius = float((energy * learned.square() / values).sum().sqrt())
    unfitted = float((energy * torch.exp(-2 * values * time)).sum()) + residual
    return Fit(radius, unfitted, total, time)


def modes(
    spectrum: Spectrum, vector: Tensor
) -> tuple[Float[Tensor, " rank"], Float[Tensor, " rank"], float, float]:
    """λ_i > 0 with multiplicity, ⟨v_i, y⟩², ‖P_ker y‖² and ‖y‖² of a vector over the outputs."""
    alignment = label_alignment(spectrum, vector)
    positive = spectrum.eigenvalues > 0
    values = spectrum.eigenvalues[positive].repeat_interleave(spectrum.multiplicity[positive])
    return values, alignment.energy, alignment.residual, alignment.total
