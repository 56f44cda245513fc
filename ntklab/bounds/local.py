"""Local Rademacher complexity: only the functions of small empirical norm (a tail sum of eq 17).

Bartlett, Bousquet and Mendelson (2005, Annals of Statistics 33(4), section 6) bound the complexity
of kernel classes near zero by the tail of the spectrum: directions with small eigenvalues can only
contribute little, and those with large ones are cut at the level r.
"""

import math

from scipy.optimize import brentq, minimize_scalar
from torch import Tensor

from ntklab.bounds.bound import Bound, conclude
from ntklab.errors import InputError
from ntklab.spectra import Spectrum

LOCAL = "local Rademacher complexity (1/N) E sup Σ σ_i f_i over ‖f‖_H ≤ B, mean square ≤ r"


def local_rademacher(
    spectrum: Spectrum,
    level: float,
    *,
    n_samples: int | None = None,
    radius: float = 1.0,
    measured: float | None = None,
) -> Bound:
    """√((2/N) Σ_i min(r, B² λ_i/N)), over {f : ‖f‖_H ≤ B, (1/N) Σ f(x_i)² ≤ r}.

    λ_i are the eigenvalues of K, λ_i/N those of their normalised Gram matrix. In the eigenbasis,
    f = Σ β_i √λ_i v_i with ‖β‖ ≤ B and Σ λ_i β_i² ≤ N r; the two ellipsoids meet inside
    Σ β_i² max(1/B², λ_i/(N r)) ≤ 2, and Jensen gives the sum with its constant 2. The ingredient
    `mixed` is the bound with the best convex combination of the ellipsoids instead, never above.

    Args:
        spectrum: of K; eigenvectors are not needed.
        level: r > 0, a mean square.
        n_samples: N; the size of the spectrum if left out.
        radius: B.
        measured: the local complexity.

    Raises:
        InputError: for a level that is not positive or a negative radius.

    Example:
        >>> import torch
        >>> from ntklab.spectra import spectrum
        >>> K = spectrum(torch.diag(torch.tensor([8.0, 2.0])))
        >>> local_rademacher(K, 1.0).value  # √(min(1, 4) + min(1, 1))
        1.4142135623730951
    """
    if not 0 < level < math.inf or not radius >= 0:
        raise InputError(f"level={level} must be positive and finite, and radius={radius} ≥ 0.")
    samples = spectrum.size if n_samples is None else n_samples
    return conclude(
        lambda: _tail_sum(spectrum, level, samples, radius),
        name="rademacher-local",
        equation="17",
        form="sharper",
        bounds=LOCAL,
        ingredients={
            "level": level,
            "radius": radius,
            "mixed": _mixed(spectrum, level, samples, radius),
            "trace": spectrum.trace,
            "n_samples": float(samples),
        },
        measured=measured,
    )


def critical_level(
    spectrum: Spectrum, *, n_samples: int | None = None, radius: float = 1.0
) -> float:
    """r* > 0 with ψ(r*) = r*, ψ(r) = √((2/N) Σ min(r, B²λ_i/N)): the rate of fast bounds.

    ψ is sub-root (ψ(r)/√r decreases), so r* is unique; it is 2·rank K/N if all
    B²λ_i/N exceed it, and far smaller than √(tr K)/N when the spectrum decays. The risk bounds
    built on it (their Theorem 3.3) carry the constants 704 or 6 and are not computed here.

    Args:
        spectrum: of K.
        n_samples: N; the size of the spectrum if left out.
        radius: B.

    Returns:
        r*, or 0.0 for the zero kernel.

    Example:
        >>> import torch
        >>> from ntklab.spectra import spectrum
        >>> round(critical_level(spectrum(100 * torch.eye(4))), 9)  # √(2 r) = r
        2.0
    """
    samples = spectrum.size if n_samples is None else n_samples
    if spectrum.rank == 0 or radius == 0:
        return 0.0
    # ψ(r) ≥ r below r* and ψ(r) ≤ √(2 B² tr K)/N everywhere.
    top = math.sqrt(2 * spectrum.trace) * radius / samples
    smallest = min(float(_masses(spectrum, samples, radius).min()), top)
    bottom = min(smallest, 2 * spectrum.rank / samples) / 2
    gap = lambda r: _tail_sum(spectrum, r, samples, radius) - r  # noqa: E731
    return float(brentq(gap, bottom, top * (1 + 1e-12), rtol=1e-14))


def _masses(spectrum: Spectrum, samples: int, radius: float) -> Tensor:
    """B² λ_i/N of the nonzero eigenvalues, with multiplicity."""
    positive = spectrum.eigenvalues > 0
    values = spectrum.eigenvalues[positive].repeat_interleave(spectrum.multiplicity[positive])
    return values * (radius**2 / samples)


def _tail_sum(spectrum: Spectrum, level: float, samples: int, radius: float) -> float:
    return math.sqrt(2 / samples * float(_masses(spectrum, samples, radius).clamp_max(level).sum()))


def _mixed(spectrum: Spectrum, level: float, samples: int, radius: float) -> float:
    masses = _masses(spectrum, samples, radius)
    if not len(masses) or radius == 0:
        return 0.0

    def squared(share: float) -> float:
        return float((1 / (share / masses + (1 - share) / level)).sum()) / samples

    # Any share gives a bound, so stopping the search early costs tightness, never truth.
    best = minimize_scalar(squared, bounds=(0.0, 1.0), method="bounded")
    return math.sqrt(min(float(best.fun), squared(0.5), squared(0.0), squared(1.0)))
