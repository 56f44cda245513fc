"""Numbers derived from a spectrum: counts with weights, so that repeated eigenvalues are cheap."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ntklab.errors import InputError

Values = Float[Tensor, "k"]
Counts = Int[Tensor, "k"]


class Decay(NamedTuple):
    """A fitted power law λ_i ∝ i^(−exponent) over the ranks first..last (counted from 1)."""

    exponent: float
    standard_error: float
    first: int
    last: int


def effective_dimension(values: Values, counts: Counts, ridge: float) -> float:
    """d_eff(ridge) = Σ m_i λ_i/(λ_i + ridge) (Zhang 2005); the rank at ridge = 0.

    Example:
        >>> effective_dimension(torch.tensor([3.0, 1.0]), torch.tensor([1, 2]), 1.0)
        1.75
    """
    if not ridge >= 0:
        raise InputError(f"ridge={ridge} must be a number ≥ 0, on the scale of the eigenvalues.")
    positive = values > 0
    shares = values[positive] / (values[positive] + ridge)
    return float((counts[positive] * shares).sum())


def participation_ratio(values: Values, counts: Counts) -> float | None:
    """(Σ m λ)²/Σ m λ²: how many equal eigenvalues would spread alike. None for the zero kernel."""
    if not (values > 0).any():
        return None
    scaled = values / values.max()  # squares of a kernel near 1e-200 would underflow
    return float((counts * scaled).sum() ** 2 / (counts * scaled**2).sum())


def spectral_entropy(values: Values, counts: Counts) -> float | None:
    """−Σ m p ln p with p = λ/Σ m λ, in nats. None for the zero kernel.

    Example:
        >>> round(spectral_entropy(torch.ones(1).double(), torch.tensor([8])), 6)
        2.079442
    """
    if not (values > 0).any():
        return None
    p = values / (counts * values).sum()
    return float((counts * torch.special.entr(p)).sum())


def decay_exponent(
    values: Values, counts: Counts, first: int | None = None, last: int | None = None
) -> Decay | None:
    """Least-squares slope of ln λ_i against ln i, sign changed, with its standard error.

    The range is ranks ⌈rank/20⌉ to ⌈rank/2⌉ by default: the first few eigenvalues are outliers of
    the data's mean, and the last half bends down because N is finite. The standard error is that
    of ordinary least squares; neighbouring eigenvalues are correlated, so take it as a floor.

    Returns:
        The fit, or None where the range holds fewer than three nonzero eigenvalues.
    """
    positive = values > 0
    # Repeated eigenvalues occupy consecutive ranks; there are at most `rank` of them to write out.
    ordered = values[positive].repeat_interleave(counts[positive])
    rank = len(ordered)
    first = max(1, -(-rank // 20)) if first is None else first
    last = -(-rank // 2) if last is None else last
    if first < 1 or last > rank:
        raise InputError(f"ranks {first}..{last} must lie within 1..{rank}, the nonzero spectrum.")
    if last - first < 2:
        return None
    x = torch.arange(first, last + 1, dtype=torch.float64).log()
    y = ordered[first - 1 : last].log()
    x, y = x - x.mean(), y - y.mean()
    slope = (x * y).sum() / (x * x).sum()
    variance = ((y - slope * x) ** 2).sum() / (len(x) - 2) / (x * x).sum()
    return Decay(-float(slope), float(variance.sqrt()), first, last)
