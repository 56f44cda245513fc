"""Rademacher complexity of a ball in the RKHS of a kernel (eqs 17–19): exact, sampled, bounded.

The ball is F_B = {f : ‖f − f₀‖_H ≤ B}: in the NTK's space the functions that a linearised model
reaches with a step of length B in its parameters. With several outputs the complexity is the doubly
indexed one that contraction needs (Maurer 2016, ALT, Corollary 4): one sign for every sample *and*
output, so that in both cases

    R_S(F_B) = (1/N) E sup_f Σ_i σ_i f_i = (B/N) E √(σᵀ K σ),   σ uniform in {±1}^(N·C).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.bounds.bound import Assumption, Bound, conclude
from ntklab.errors import InputError
from ntklab.spectra import Spectrum
from ntklab.spectra.operator import check_kernel

COMPLEXITY = "empirical Rademacher complexity R_S of the RKHS ball"

# 2^19 sign vectors take about a second; each sample or output more doubles that.
LARGEST_ENUMERATION = 20
_BLOCK = 1 << 14


@dataclass(frozen=True)
class RademacherEstimate:
    """R_S(F_B), exactly or from random signs.

    Attributes:
        value: the complexity, or the mean over draws.
        standard_error: of the mean; 0.0 if exact.
        low: lower end of Student's confidence interval.
        high: upper end.
        confidence: of that interval (asymptotic; `ceiling` is not).
        draws: number of sign vectors; all 2^(N·C) of them if exact.
        trace_form: (B/N) √tr K, on which `ceiling` depends.
        exact: whether all sign vectors were taken.
    """

    value: float
    standard_error: float
    low: float
    high: float
    confidence: float
    draws: int
    trace_form: float
    exact: bool

    def ceiling(self, delta: float) -> float:
        """A number above R_S with probability at least 1 − delta, for any number of draws.

        Flipping σ_i moves √(σᵀKσ) by at most 2√K_ii, so by McDiarmid the mean of m draws is below
        E √(σᵀKσ) by more than √(2 tr K · ln(1/δ)/m) with probability at most δ.

        Raises:
            InputError: if delta is not in (0, 1).
        """
        _check_probability(delta, "delta")
        if self.exact:
            return self.value
        return self.value + self.trace_form * math.sqrt(2 * math.log(1 / delta) / self.draws)

    def as_bound(self, delta: float = 0.01) -> Bound:
        """This estimate's `ceiling` as a bound on R_S, never above the trace form (eq 17)."""
        ingredients = {"estimate": self.value, "standard_error": self.standard_error}
        if not self.exact:
            ingredients["delta"] = delta
        return conclude(
            lambda: min(self.ceiling(delta), self.trace_form),
            name="rademacher-exact" if self.exact else "rademacher-monte-carlo",
            equation="17",
            form="sharper",
            bounds=COMPLEXITY,
            ingredients={**ingredients, "draws": float(self.draws)},
            measured=self.value,
        )


@takes_arrays
def exact_rademacher(
    kernel: Float[Tensor, "n n"], *, n_samples: int | None = None, radius: float = 1.0
) -> RademacherEstimate:
    """R_S(F_B) = (B/N) E √(σᵀKσ) over all 2^n sign vectors (eq 17).

    Args:
        kernel: K, (N·C, N·C) with N·C ≤ 20, symmetric positive semidefinite.
        n_samples: N; the number of rows (one output) if left out.
        radius: B.

    Raises:
        InputError: for more than 20 rows, a matrix that is no kernel, or a negative radius.

    Cost: 2^(n−1) quadratic forms of size n (σ and −σ agree); about a second at n = 20.

    Example:
        >>> K = torch.tensor([[1.0, 1.0], [1.0, 1.0]])  # √(σᵀKσ) is 2 or 0
        >>> exact_rademacher(K).value
        0.5
    """
    K, samples = _checked(kernel, n_samples, radius)
    size = K.shape[0]
    if size > LARGEST_ENUMERATION:
        raise InputError(
            f"{size} rows have 2^{size} sign vectors: enumerate at most {LARGEST_ENUMERATION}, or "
            "use monte_carlo_rademacher."
        )
    half = 1 << (size - 1)
    bits = torch.arange(size)
    total = 0.0
    for start in range(0, half, _BLOCK):
        codes = torch.arange(start, min(start + _BLOCK, half))
        signs = ((codes[:, None] >> bits) & 1).to(K.dtype).mul_(2).sub_(1)
        total += float(_norms(K, signs).sum())
    value = radius / samples * total / half
    trace_form = radius / samples * math.sqrt(_trace(K))
    return RademacherEstimate(value, 0.0, value, value, 1.0, 2 * half, trace_form, True)


@takes_arrays
def monte_carlo_rademacher(
    kernel: Float[Tensor, "n n"],
    *,
    n_samples: int | None = None,
    radius: float = 1.0,
    draws: int = 4000,
    confidence: float = 0.95,
    seed: int = 0,
) -> RademacherEstimate:
    """R_S(F_B) from random sign vectors, with Student's confidence interval (eq 17).

    Args:
        kernel: K, (N·C, N·C).
        n_samples: N; the number of rows (one output) if left out.
        radius: B.
        draws: number of sign vectors, at least 2.
        confidence: of the interval.
        seed: of the draws.

    Raises:
        InputError: for fewer than 2 draws, a confidence outside (0, 1), or bad input as above.

    Cost: draws · n² multiply-adds.

    Example:
        >>> estimate = monte_carlo_rademacher(torch.eye(100), radius=2.0, draws=10)
        >>> round(estimate.value, 12), round(estimate.standard_error, 12)  # always √100
        (0.2, 0.0)
    """
    K, samples = _checked(kernel, n_samples, radius)
    _check_probability(confidence, "confidence")
    if draws < 2:
        raise InputError(f"draws={draws} must be at least 2, or there is no standard error.")
    generator = torch.Generator().manual_seed(seed)
    blocks = []
    for start in range(0, draws, _BLOCK):
        shape = (min(_BLOCK, draws - start), K.shape[0])
        bits = torch.randint(0, 2, shape, generator=generator)
        blocks.append(_norms(K, bits.to(K.dtype).mul_(2).sub_(1)))
    norms = torch.cat(blocks) * (radius / samples)
    value, error = float(norms.mean()), float(norms.std()) / math.sqrt(draws)
    half_width = float(stats.t.ppf(0.5 + confidence / 2, draws - 1)) * error
    trace_form = radius / samples * math.sqrt(_trace(K))
    return RademacherEstimate(
        value,
        error,
        value - half_width,
        value + half_width,
        confidence,
        draws,
        trace_form,
        False,
    )


@takes_arrays
def trace_bound(
    kernel: Float[Tensor, "n n"],
    *,
    n_samples: int | None = None,
    radius: float = 1.0,
    measured: float | None = None,
) -> Bound:
    """R_S ≤ (B/N) √tr K (eq 18; Bartlett and Mendelson 2002, Lemma 22; Jensen). K may be singular.

    Args:
        kernel: K, (N·C, N·C).
        n_samples: N; the number of rows if left out.
        radius: B.
        measured: R_S, exact or sampled.

    Example:
        >>> trace_bound(torch.eye(4), radius=2.0).value
        1.0
    """
    K, samples = _checked(kernel, n_samples, radius)
    return conclude(
        lambda: radius / samples * math.sqrt(_trace(K)),
        name="rademacher-trace",
        equation="18",
        form="paper",
        bounds=COMPLEXITY,
        ingredients={"radius": radius, "trace": _trace(K), "n_samples": float(samples)},
        measured=measured,
    )


@takes_arrays
def kappa_bound(
    kernel: Float[Tensor, "n n"],
    *,
    n_samples: int | None = None,
    radius: float = 1.0,
    measured: float | None = None,
) -> Bound:
    """R_S ≤ B κ/√N, κ² = max_n tr K(x_n, x_n) (eq 19, reading A); λ_min plays no part.

    Args:
        kernel: K, (N·C, N·C).
        n_samples: N; the number of rows if left out. κ² sums over a sample's outputs.
        radius: B.
        measured: R_S.

    Example:
        >>> kappa_bound(torch.diag(torch.tensor([1.0, 4.0, 1.0, 1.0]))).value
        1.0
    """
    K, samples = _checked(kernel, n_samples, radius)
    kappa = largest_feature_norm(K, samples)
    return conclude(
        lambda: radius * kappa / math.sqrt(samples),
        name="rademacher-kappa",
        equation="19",
        form="mended",
        bounds=COMPLEXITY,
        ingredients={"radius": radius, "kappa": kappa, "n_samples": float(samples)},
        measured=measured,
    )


@takes_arrays
def khintchine_bound(
    kernel: Float[Tensor, "n n"],
    *,
    n_samples: int | None = None,
    radius: float = 1.0,
    measured: float | None = None,
) -> Bound:
    """R_S ≥ (B/N) √(tr K/2): a lower bound, so the trace form is at most √2 too large.

    Khintchine's inequality in a Hilbert space with its best constant 1/√2 (Latała and Oleszkiewicz
    1994, Studia Mathematica 109). At equal B, comparing complexities is comparing traces.

    Args:
        kernel: K, (N·C, N·C).
        n_samples: N; the number of rows if left out.
        radius: B.
        measured: R_S.

    Example:
        >>> khintchine_bound(torch.ones(2, 2), measured=0.5).holds  # attained
        True
    """
    K, samples = _checked(kernel, n_samples, radius)
    return conclude(
        lambda: radius / samples * math.sqrt(_trace(K) / 2),
        name="rademacher-khintchine",
        equation="18",
        form="sharper",
        bounds=COMPLEXITY,
        ingredients={"radius": radius, "trace": _trace(K), "n_samples": float(samples)},
        direction="lower",
        measured=measured,
    )


@takes_arrays
def lambda_min_bound(
    spectrum: Spectrum,
    labels: Tensor,
    *,
    n_samples: int | None = None,
    measured: float | None = None,
) -> Bound:
    """(1/N) (‖y‖/√λ_min) √tr K: the radius bounded through λ_min (eq 19, reading B).

    True for nonsingular K, where ‖f‖_H = √(yᵀK⁻¹y) ≤ ‖y‖/√λ_min, but for labels ±1 never below 1
    (theory P6), because tr K ≥ n λ_min. There is no value for singular K: λ_min⁺ bounds nothing
    there unless y has no part in the kernel's null space, and then `fit_bound` says it exactly.

    Args:
        spectrum: of K, any route.
        labels: y − f₀, N·C numbers in any shape.
        n_samples: N; the size of the spectrum if left out.
        measured: R_S of the ball that holds the interpolant of y.

    Raises:
        InputError: if the number of labels is not the size of the spectrum.

    Example:
        >>> from ntklab.spectra import spectrum
        >>> lambda_min_bound(spectrum(torch.eye(4)), torch.ones(4)).value
        1.0
        >>> lambda_min_bound(spectrum(torch.ones(4, 4)), torch.ones(4)).reason
        'λ_min > 0 fails: rank 1 of 4, so λ_min = 0 exactly'
    """
    samples = spectrum.size if n_samples is None else n_samples
    y = labels.detach().to("cpu", torch.float64).reshape(-1)
    if len(y) != spectrum.size:
        raise InputError(f"{len(y)} labels do not fit a kernel of {spectrum.size} rows (N·C).")
    energy = float(y @ y)
    return conclude(
        lambda: math.sqrt(energy) * math.sqrt(spectrum.trace / spectrum.lambda_min) / samples,
        name="rademacher-lambda-min",
        equation="19",
        form="paper",
        bounds=COMPLEXITY + " that holds the interpolant",
        ingredients={
            "label_norm": math.sqrt(energy),
            "lambda_min": spectrum.lambda_min,
            "trace": spectrum.trace,
            "n_samples": float(samples),
        },
        assumptions=(nonsingular(spectrum),),
        trivial=1.0,
        measured=measured,
    )


def nonsingular(spectrum: Spectrum) -> Assumption:
    """λ_min > 0, decided by the rank of the spectrum; unchecked where rounding hides the rank."""
    evidence = f"rank {spectrum.rank} of {spectrum.size}"
    if spectrum.lambda_min == 0:
        return Assumption("λ_min > 0", False, f"{evidence}, so λ_min = 0 exactly")
    if not spectrum.rank_decided:
        return Assumption("λ_min > 0", None, f"{evidence}, but λ_min is not above its own error")
    return Assumption("λ_min > 0", True, evidence)


@takes_arrays
def largest_feature_norm(kernel: Float[Tensor, "n n"], n_samples: int) -> float:
    """κ = max_n √tr K(x_n, x_n) over the samples, summing over a sample's outputs."""
    diagonal = kernel.diagonal().to(torch.float64).reshape(n_samples, -1)
    return math.sqrt(max(float(diagonal.sum(dim=1).max()), 0.0))


def _norms(K: Tensor, signs: Float[Tensor, "m n"]) -> Float[Tensor, " m"]:
    # Rounding can make σᵀKσ of a singular kernel slightly negative.
    return ((signs @ K) * signs).sum(dim=1).clamp_min(0.0).sqrt()


def _trace(K: Tensor) -> float:
    return max(float(K.diagonal().sum()), 0.0)


def _checked(kernel: Tensor, n_samples: int | None, radius: float) -> tuple[Tensor, int]:
    K = check_kernel(kernel).cpu()
    samples = K.shape[0] if n_samples is None else n_samples
    if samples < 1 or K.shape[0] % samples:
        raise InputError(
            f"n_samples={samples} does not divide the {K.shape[0]} rows of the kernel: give N so "
            "that the rows are N·C."
        )
    if not 0 <= radius < math.inf:
        raise InputError(f"radius={radius} must be a finite number ≥ 0: the norm of a ball.")
    return K, samples


def _check_probability(value: float, name: str) -> None:
    if not 0 < value < 1:
        raise InputError(f"{name}={value} must lie strictly between 0 and 1.")
