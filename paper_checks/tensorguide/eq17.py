"""Eq. 17: the Rademacher complexity of a ball in the kernel's space."""

from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor

from ntklab.bounds import exact_rademacher
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.jacobians import jacobian
from paper_checks.tensorguide._least_eigenvalues import Setting

CLAIM = Claim(
    id="eq17",
    title="Rademacher complexity of the kernel's ball",
    words="The complexity of the functions of norm at most B is the mean, over random signs, of "
    "the largest correlation that one of them has with the signs.",
    formula=r"\mathcal{R}_S(\mathcal{F}) = \frac{1}{N}\, \mathbb{E}_\sigma "
    r"\sup_{\|f\|_{\mathcal{H}}\le B} \sum_{i=1}^N \sigma_i f(x_i)",
    assumptions=(
        "a definition; for several outputs there is one sign for every sample and output",
        "of the linearised model: functions f₀ + J(θ − θ₀) with ‖θ − θ₀‖ ≤ B",
    ),
)

SAMPLE = Sample(
    "Gaussian features", why="All sign vectors are tried, which takes a handful of samples."
)
RADIUS = 2.0
SAMPLES = 8

#: Kernel, N and B to R_S.
Complexity = Callable[[Tensor, int, float], float]


def library_complexity(K: Tensor, n_samples: int, radius: float) -> float:
    """R_S by enumeration."""
    return exact_rademacher(K, n_samples=n_samples, radius=radius).value


def settings() -> list[tuple[str, Setting]]:
    """Methods with nonsingular and singular kernels, one or two outputs."""
    wide = Setting(label="C=2, N ≤ d", regime="", samples=4, features=6)
    one = Setting(label="C=1, N > d", regime="", samples=SAMPLES, features=6, outputs=1)
    methods = ("lora", "tensorguide", "linear-probe")
    return [(method, setting) for setting in (wide, one) for method in methods]


def measure(effort: Effort) -> Measured:
    """The supremum found in parameter space, sign by sign, against the library's closed form."""
    rows = [
        tried(method, setting, seed)
        for method, setting in settings()
        for seed in SAMPLE.seeds(effort)
    ]
    kinds = len(settings())
    return Measured(
        {
            "difference": max(row["difference"] for row in rows),
            "excess": max(row["excess"] for row in rows),
            "kernels": len(rows),
        },
        [row for row in rows if row.pop("seed") == 0],
        len(rows) // kinds,
    )


def tried(
    method: str, setting: Setting, seed: int, complexity: Complexity = library_complexity
) -> dict[str, Any]:
    """One kernel: sup over ‖δ‖ ≤ B of σᵀJδ is attained at δ = B Jᵀσ/‖Jᵀσ‖, and no δ beats it."""
    x, outputs = setting.inputs(seed)
    J = jacobian(setting.adapter(method, x.shape[1], outputs, seed), x).dense()
    K = J @ J.T
    source = torch.Generator().manual_seed(seed)
    signs = torch.tensor(list(product((-1.0, 1.0), repeat=len(J))), dtype=torch.float64)
    best = signs @ J
    attained = ((RADIUS * best / best.norm(dim=1, keepdim=True).clamp_min(1e-300)) * best).sum(1)
    others = torch.randn(200, J.shape[1], generator=source, dtype=torch.float64)
    others *= RADIUS / others.norm(dim=1, keepdim=True)
    excess = (signs @ J @ others.T - attained[:, None]).max() / attained.max()
    by_definition = float(attained.mean()) / len(x)
    closed = complexity(K, len(x), RADIUS)
    return {
        "seed": seed,
        "method": method,
        "setting": setting.label,
        "signs": len(signs),
        "by_definition": by_definition,
        "closed_form": closed,
        "difference": abs(closed - by_definition) / by_definition,
        "excess": float(excess),
    }


def judge(measured: Measured) -> Finding:
    """OK if the closed form is the supremum of the definition."""
    values = measured.values
    if values["difference"] < 1e-10 and values["excess"] < 1e-10:
        return Finding(
            Verdict.OK,
            f"On {values['kernels']} kernels, singular ones among them, and over all sign vectors "
            "the supremum, taken in parameter space, agrees with ntklab's enumeration of "
            f"(B/N) E √(σᵀKσ) to {values['difference']:.1e}, and none of 200 random directions "
            "exceeds it.",
        )
    return Finding(
        Verdict.FALSE,
        "The supremum in parameter space and the kernel's form of it differ by "
        f"{values['difference']:.1e}, or a direction exceeds it by {values['excess']:.1e}.",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "kernels": "kernels",
        "difference": "largest relative difference",
        "excess": "how far any direction exceeds the supremum (negative: none does)",
    },
    columns={
        "method": "method",
        "setting": "setting",
        "signs": "sign vectors",
        "by_definition": "sup in parameters",
        "closed_form": "by the kernel",
        "difference": "difference",
    },
    sample=SAMPLE,
)
