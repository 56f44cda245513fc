"""Eq. 21: the complexity of eq. 19 put into the bound of eq. 20."""

from collections.abc import Mapping, Sequence
from functools import cache
from statistics import median
from typing import Any

import torch

from ntklab.bounds import exact_rademacher
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Verdict
from ntklab.spectra import spectrum
from paper_checks.tensorguide.eq15 import CHECK as EQ15
from paper_checks.tensorguide.eq15 import SAMPLE
from paper_checks.tensorguide.eq15 import measure as measure_risks

CLAIM = Claim(
    id="eq21",
    title="Risk through the least eigenvalue",
    words="With the complexity of eq. 19 in it the risk bound becomes smaller as λ_min becomes "
    "larger, so TensorGuide, with the larger λ_min, generalizes better.",
    formula=r"R \le \hat{R} + \frac{2LB\kappa}{\sqrt{N}} + "
    r"3M_\ell\sqrt{\frac{\log(2/\delta)}{2N}},\quad B \le \frac{\|y\|}{\sqrt{\lambda_{\min}}}",
    confidence="M",
    assumptions=(
        *EQ15.claim.assumptions,
        "λ_min > 0; the radius in terms of λ_min is that of the ball that holds the interpolant",
    ),
    source="arXiv 2506.16456, eq. 21",
)


@cache
def measure(effort: Effort) -> Measured:
    """The resamples of eq 15, and what raising λ_min alone does to a complexity."""
    risks = measure_risks(effort)
    seeds = SAMPLE.seeds(effort)
    return Measured(summary(risks.rows) | raised(seeds), risks.rows, risks.seeds)


def raised(seeds: Sequence[int]) -> dict[str, Any]:
    """`lifted` over seeds: medians, and at how many the complexity grew."""
    factors = [lifted(seed) for seed in seeds]
    return {
        "least_factor": median(least for least, _ in factors),
        "complexity_factor": median(complexity for _, complexity in factors),
        "lifted": len(factors),
        "lifted_higher": sum(complexity > 1 for _, complexity in factors),
    }


def lifted(seed: int, size: int = 8) -> tuple[float, float]:
    """By what λ_min, and R_S of one ball, grow from K to K + λ_max(K) I."""
    source = torch.Generator().manual_seed(seed)
    J = torch.randn(size, size, generator=source, dtype=torch.float64)
    K = J @ J.T
    raised = K + torch.linalg.eigvalsh(K)[-1] * torch.eye(size, dtype=torch.float64)
    before, after = (exact_rademacher(kernel).value for kernel in (K, raised))
    least, most = (spectrum(kernel).lambda_min for kernel in (K, raised))
    return most / least, after / before


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the two readings fare."""
    read = [row for row in rows if row["by_lambda_min"] is not None]
    return {
        "worlds": len(rows),
        "singular": len(rows) - len(read),
        "informative_by_kappa": sum(row["by_kappa"] < row["trivial"] for row in rows),
        "informative_by_least": sum(row["by_lambda_min"] < row["trivial"] for row in read),
        "broken_by_kappa": sum(row["by_kappa"] < row["risk"] for row in rows),
        "broken_by_least": sum(row["by_lambda_min"] < row["risk"] for row in read),
        "least_by_least": min(
            (row["by_lambda_min"] / row["trivial"] for row in read), default=None
        ),
    }


def judge(measured: Measured) -> Finding:
    """FALSE if broken, OK if λ_min's form says something somewhere, VACUOUS if never."""
    values = measured.values
    if values["broken_by_kappa"] or values["broken_by_least"]:
        return Finding(
            Verdict.FALSE,
            f"The risk exceeds the bound in {values['broken_by_kappa']} worlds (κ) and "
            f"{values['broken_by_least']} (λ_min) of {values['worlds']}.",
        )
    text = (
        f"Through λ_min the bound is below chance in {values['informative_by_least']} of "
        f"{values['worlds']} worlds; {values['singular']} have a singular kernel, where it does "
        f"not exist{_least(values)}. "
        f"With B and κ instead, in {values['informative_by_kappa']}."
    )
    if values["informative_by_least"]:
        return Finding(Verdict.OK, text)
    against = (
        f" At equal B a larger λ_min does not help: raising it {values['least_factor']:.0f}-fold "
        f"by adding to the diagonal raises R_S {values['complexity_factor']:.2f}-fold (medians; it "
        f"rises at {values['lifted_higher']} of {values['lifted']} seeds)."
        if values["complexity_factor"] > 1
        else ""
    )
    return Finding(
        Verdict.VACUOUS,
        text + against,
        mended="With B the norm of the function that was reached (through a grid) and κ or the "
        "trace, it is a bound, in which λ_min has no part; labels enter by the norm √(yᵀK⁺y) of "
        "their fit, which is small where they are aligned with large eigenvalues.",
        formula=r"R \le \hat{R} + \frac{2LB_j}{N}\sqrt{\operatorname{tr} K} + "
        r"3M_\ell\sqrt{\frac{\log(2/\delta_j)}{2N}},\quad B_j \ge \|f - f_0\|_{\mathcal{H}}",
    )


def _least(values: Mapping[str, Any]) -> str:
    if values["least_by_least"] is None:
        return ""
    return f", and elsewhere it is at least {values['least_by_least']:.1f} times chance"


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "worlds": "worlds",
        "singular": "with a singular kernel",
        "informative_by_kappa": "in which reading A (B, κ) is below chance",
        "informative_by_least": "in which reading B (λ_min) is below chance",
        "broken_by_kappa": "in which the risk exceeds reading A",
        "broken_by_least": "in which the risk exceeds reading B",
        "least_by_least": "least reading B over chance",
        "least_factor": "λ_min of K + λ_max I over that of K, median",
        "complexity_factor": "R_S of K + λ_max I over that of K, at equal B, median",
        "lifted": "such kernels, one a seed",
        "lifted_higher": "of them with the larger R_S",
    },
    columns={
        "data": "data",
        "method": "method",
        "loss": "loss",
        "samples": "N",
        "risk": "risk",
        "trivial": "chance",
        "bound": "by the trace",
        "by_kappa": "reading A: by κ",
        "by_lambda_min": "reading B: by λ_min",
        "radius": "‖θ − θ₀‖",
        "radius_by_least": "‖y‖/√λ_min",
    },
    sample=SAMPLE,
    shares="eq15",
)
