"""A training residual in the eigenbasis of a kernel, and how fast it shrinks at any moment."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.bounds.norms import modes
from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.spectra import Spectrum
from ntklab.spectra.operator import check_kernel


@dataclass(frozen=True, eq=False, repr=False)
class ResidualModes(ShortRepr):
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
        remaining = (self.energy * torch.exp(-2 * self.values * check_time(time))).sum()
        return math.sqrt(float(remaining) + self.unreachable)

    def after_descent(self, steps: int, rate: float) -> float:
        """‖r_t‖ after `steps` of gradient descent with learning rate η: factors (1 − ηλ_i)^t."""
        factors = (1 - rate * self.values).abs() ** (2 * check_steps(steps))
        return math.sqrt(float((self.energy * factors).sum()) + self.unreachable)

    def rate_after_flow(self, time: float) -> float:
        """ρ_t = r_tᵀ K r_t/‖r_t‖² of the flow: −d ln‖r_t‖/dt, non-increasing in t."""
        remaining = self.energy * torch.exp(-2 * self.values * check_time(time))
        total = float(remaining.sum()) + self.unreachable
        return float((remaining * self.values).sum()) / total if total > 0 else 0.0


@takes_arrays
def residual_modes(spectrum: Spectrum, residual: Tensor) -> ResidualModes:
    """Split r₀ = f₀ − y over a kernel's eigenvectors.

    Args:
        spectrum: with eigenvectors.
        residual: (N, C) or (N·C,).

    Raises:
        InputError: no eigenvectors, or a residual that does not fit or is zero.

    Example:
        >>> from ntklab.spectra import spectrum
        >>> r = residual_modes(spectrum(torch.diag(torch.tensor([1.0, 0.0])), vectors=True),
        ...                    torch.tensor([4.0, 3.0]))
        >>> r.norm, r.after_flow(100.0), r.rate_after_flow(0.0)
        (5.0, 3.0, 0.64)
    """
    values, energy, unreachable, total = modes(spectrum, residual)
    return ResidualModes(spectrum, values, energy, unreachable, math.sqrt(total))


@takes_arrays
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


def check_time(time: float) -> float:
    """The time, after refusing a negative one."""
    if not time >= 0:
        raise InputError(f"time={time} must be a number ≥ 0.")
    return time


def check_steps(steps: int) -> int:
    """The number of steps, after refusing a negative one."""
    if steps < 0:
        raise InputError(f"steps={steps} must be ≥ 0.")
    return steps
