"""PAC-Bayes in the tangent space: Gaussians over θ − θ₀, in closed form through the kernel.

Prior N(0, s² I_P), s fixed before the data; posterior the Gaussian of Bayesian linear regression
with noise τ², which lives in the kernel's eigenbasis. With a_i = τ²/(τ² + s² λ_i):

    mean of f − f₀ on the samples: Σ (1 − a_i) c_i v_i,    covariance: Σ s² λ_i a_i v_i v_iᵀ,
    KL = ½ Σ (a_i − 1 − ln a_i) + ‖mean of θ − θ₀‖²/(2 s²);    directions outside the range add 0.

τ may be chosen by the data, because a PAC-Bayes bound holds for every posterior at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.bounds.bound import Assumption, Bound, conclude
from ntklab.bounds.generalization import INDEPENDENT, check_delta
from ntklab.bounds.norms import modes
from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.spectra import Spectrum

GIBBS = "error rate of the Gibbs classifier on new samples"


@dataclass(frozen=True, eq=False, repr=False)
class TangentPosterior(ShortRepr):
    """A Gaussian posterior over the parameters of a linearised model with one output.

    Attributes:
        kl: KL(posterior ‖ prior), nats.
        mean: of f − f₀ on the training samples, shape (N,).
        variance: of f on the training samples, shape (N,).
        step: ‖mean of θ − θ₀‖.
        prior_scale: s.
        noise: τ.
    """

    kl: float
    mean: Float[Tensor, " N"]
    variance: Float[Tensor, " N"]
    step: float
    prior_scale: float
    noise: float

    def gibbs_error(self, labels: Tensor, start: Tensor | None = None) -> float:
        """Exact training error of a random draw: mean of Φ(−y m/√v).

        Args:
            labels: y in {−1, +1}, shape (N,).
            start: f₀ on the samples; zero if left out.
        """
        margin = self.mean if start is None else self.mean + start.to(self.mean)
        return gibbs_error(margin, self.variance, labels.to(margin.device))


@takes_arrays
def gibbs_error(
    mean: Float[Tensor, " N"], variance: Float[Tensor, " N"], labels: Float[Tensor, " N"]
) -> float:
    """Mean over samples of P(y f ≤ 0) for f ~ N(mean, variance); no variance counts as a step.

    Example:
        >>> gibbs_error(torch.zeros(2), torch.ones(2), torch.tensor([1.0, -1.0]))
        0.5
    """
    signed = labels.to(torch.float64).reshape(-1) * mean.to(torch.float64)
    deviation = variance.to(torch.float64).clamp_min(0.0).sqrt()
    certain = (signed <= 0).to(torch.float64)
    spread = torch.special.ndtr(-signed / deviation.clamp_min(torch.finfo(torch.float64).tiny))
    return float(torch.where(deviation > 0, spread, certain).mean())


@takes_arrays
def tangent_posterior(
    spectrum: Spectrum, labels: Tensor, *, prior_scale: float = 1.0, noise: float = 1.0
) -> TangentPosterior:
    """The posterior of Bayesian regression on the labels, N(0, s² I) before and τ² around them.

    Args:
        spectrum: of K (N, N), one output, with eigenvectors.
        labels: y − f₀, shape (N,).
        prior_scale: s.
        noise: τ; only shapes the posterior, nothing is assumed of the labels.

    Raises:
        InputError: scales that are not positive, no eigenvectors, labels that do not fit.

    Example:
        >>> from ntklab.spectra import spectrum
        >>> posterior = tangent_posterior(spectrum(torch.eye(1), vectors=True), torch.ones(1))
        >>> posterior.mean.item(), posterior.variance.item(), round(posterior.kl, 6)
        (0.5, 0.5, 0.221574)
    """
    for name, value in (("prior_scale", prior_scale), ("noise", noise)):
        if not 0 < value < math.inf:
            raise InputError(f"{name}={value} must be a positive finite standard deviation.")
    values, energy, _, _ = modes(spectrum, labels)
    vectors = spectrum.eigenvectors
    assert vectors is not None  # modes() has refused a spectrum without them
    vectors = vectors.cpu()
    y = labels.detach().to("cpu", torch.float64).reshape(-1)
    gain = values * (prior_scale / noise) ** 2  # s²λ/τ²
    left = 1 / (1 + gain)
    learned = gain * left
    step = float((learned.square() * energy / values).sum().sqrt())
    kl = 0.5 * float((left - 1 + torch.log1p(gain)).sum()) + step**2 / (2 * prior_scale**2)
    return TangentPosterior(
        kl,
        vectors @ (learned * (vectors.T @ y)),
        vectors.square() @ (prior_scale**2 * values * left),
        step,
        prior_scale,
        noise,
    )


def kl_inverse(error: float, budget: float) -> float:
    """The largest p ≥ error with kl(error ‖ p) ≤ budget, kl of two coins in nats.

    Args:
        error: q in [0, 1].
        budget: c ≥ 0.

    Raises:
        InputError: outside these ranges.

    Example:
        >>> round(kl_inverse(0.0, 0.1), 6), round(1 - 2.718281828**-0.1, 6)
        (0.095163, 0.095163)
    """
    if not 0 <= error <= 1 or not budget >= 0:
        raise InputError(f"error={error} must lie in [0, 1] and budget={budget} be ≥ 0.")
    top = 1 - 2.0**-53
    if error >= top or budget == 0:
        return error
    # The terms of kl cancel near p = q; granting their rounding keeps the root an upper bound.
    granted = budget * (1 + 1e-15) + 1e-15
    excess = lambda p: binary_kl(error, p) - granted  # noqa: E731
    if excess(top) <= 0:
        return 1.0
    return min(1.0, float(brentq(excess, error, top, xtol=1e-15, rtol=1e-14)) + 1e-14)


def binary_kl(q: float, p: float) -> float:
    """kl(q ‖ p) = q ln(q/p) + (1 − q) ln((1 − q)/(1 − p)), nats, for p in (0, 1) or p = q.

    Example:
        >>> round(binary_kl(0.5, 0.25), 6)
        0.143841
    """
    if p == q:
        return 0.0
    first = q * math.log(q / p) if q > 0 else 0.0
    second = (1 - q) * (math.log1p(-q) - math.log1p(-p)) if q < 1 else 0.0
    return first + second


def pac_bayes_bound(
    *,
    train_error: float,
    kl: float,
    n_samples: int,
    delta: float = 0.05,
    invert: bool = True,
    measured: float | None = None,
) -> Bound:
    """Bound the Gibbs error: kl(R̂ ‖ R) ≤ (KL + ln(2√N/δ))/N (Seeger 2002, Maurer 2004).

    Both sides are error rates, so 1 holds without any bound. Maurer's proof takes any loss in
    [0, 1] in their place; one of range M must be divided by M, as kl of two coins knows no other.

    Args:
        train_error: R̂ of the Gibbs classifier, exactly.
        kl: KL(posterior ‖ prior), nats; the prior must not depend on the samples.
        n_samples: N ≥ 8.
        delta: probability of failure.
        invert: invert kl exactly; otherwise Pinsker's R̂ + √((KL + ln(2√N/δ))/(2N)) (McAllester).
        measured: the Gibbs error on held-out samples.

    Raises:
        InputError: for delta outside (0, 1), or a training error outside [0, 1].

    Example:
        >>> bound = pac_bayes_bound(train_error=0.0, kl=10.0, n_samples=1000)
        >>> round(bound.value, 4), bound.vacuous
        (0.017, False)
    """
    check_delta(delta)
    if not kl >= 0 or not 0 <= train_error <= 1:
        raise InputError(f"kl={kl} must be ≥ 0 and train_error={train_error} in [0, 1].")
    budget = (kl + math.log(2 * math.sqrt(n_samples) / delta)) / n_samples
    enough = Assumption("N ≥ 8", n_samples >= 8, f"N = {n_samples}")
    return conclude(
        lambda: kl_inverse(train_error, budget) if invert else train_error + math.sqrt(budget / 2),
        name="pac-bayes-kl" if invert else "pac-bayes-mcallester",
        equation="",
        form="sharper",
        bounds=GIBBS,
        ingredients={
            "train_error": train_error,
            "kl": kl,
            "budget": budget,
            "n_samples": float(n_samples),
            "delta": delta,
        },
        assumptions=(INDEPENDENT, enough),
        trivial=1.0,
        measured=measured,
    )


@takes_arrays
def best_tangent_posterior(
    spectrum: Spectrum,
    labels: Tensor,
    *,
    start: Tensor | None = None,
    prior_scale: float = 1.0,
    doublings: int = 8,
    noises: Sequence[float] = tuple(2.0**k for k in range(-8, 9)),
    delta: float = 0.05,
) -> tuple[TangentPosterior, Bound]:
    """The posterior and the kl bound that are best over noises and prior scales s_j = s·2^j.

    The scales j = 0 … doublings − 1 share δ as δ_j = 6δ/(π²(j + 1)²); the noises need no share.

    Args:
        spectrum: of K (N, N), one output, with eigenvectors.
        labels: y in {−1, +1}, shape (N,).
        start: f₀ on the samples; zero if left out.
        prior_scale: s, fixed before the data.
        doublings: number of scales tried.
        noises: τ tried, any number.
        delta: total probability of failure.

    Raises:
        InputError: labels other than ±1, no scale or noise to try, or as `tangent_posterior`.

    Example:
        >>> from ntklab.spectra import spectrum
        >>> K = torch.ones(100, 100)
        >>> _, bound = best_tangent_posterior(spectrum(K, vectors=True), torch.ones(100))
        >>> bound.value < 0.2
        True
    """
    check_delta(delta)
    y = labels.detach().to("cpu", torch.float64).reshape(-1)
    if not bool((y.abs() == 1).all()) or doublings < 1 or not noises:
        raise InputError("labels must be −1 or +1, and at least one prior scale and noise tried.")
    target = y if start is None else y - start.to(y).reshape(-1)
    best: tuple[TangentPosterior, Bound] | None = None
    for j in range(doublings):
        share = 6 * delta / (math.pi * (j + 1)) ** 2
        for noise in noises:
            posterior = tangent_posterior(
                spectrum, target, prior_scale=prior_scale * 2.0**j, noise=noise
            )
            error = posterior.gibbs_error(y, start)
            bound = pac_bayes_bound(
                train_error=error, kl=posterior.kl, n_samples=len(y), delta=share
            )
            if best is None or _value(bound) < _value(best[1]):
                best = posterior, bound
    assert best is not None
    return best


def _value(bound: Bound) -> float:
    return math.inf if bound.value is None else bound.value
