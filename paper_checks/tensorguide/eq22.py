"""Eq. 22: eq. 10 derived, by gradient flow of the residual."""

from collections.abc import Mapping
from typing import Any

from ntklab.claims.claim import Check, Claim, Finding, Measured, Verdict
from paper_checks.tensorguide._envelopes import seeds_told
from paper_checks.tensorguide._envelopes_figure import draw_envelopes
from paper_checks.tensorguide.eq10 import CHECK as EQ10
from paper_checks.tensorguide.eq10 import SAMPLE, measure

CLAIM = Claim(
    id="eq22",
    title="The exponential rate, derived from gradient flow",
    words="Gradient flow moves the residual by minus the kernel times the residual, so the "
    "optimization error falls at least at the rate of the kernel's least eigenvalue.",
    formula=r"\dot r = -T_{tg}\, r \ \Rightarrow\ "
    r"\epsilon_{opt}(t) \le C_0\, e^{-\lambda_{\min}(T_{tg})\, t}",
    confidence="M",
    assumptions=(
        "the step needs the squared loss, whose gradient is the residual; the paper trains with "
        "cross-entropy",
        "a kernel that stays as it was, and λ_min > 0",
    ),
    source="arXiv 2506.16456, eq. 22",
)


def judge(measured: Measured) -> Finding:
    """The derivation stands if the envelope holds wherever its assumptions do."""
    rows = measured.rows
    inside = [row for row in rows if row["assumed"]]
    runs = sum(row["assumed"] for row in inside)
    wrong = [row for row in inside if row["assumed_held"] < row["assumed"]]
    idle = [row for row in rows if row["others_broken"] or row["others_idle"]]
    if wrong:
        cases = "; ".join(
            f"{row['case']} (at {row['assumed'] - row['assumed_held']} of {row['assumed']} seeds)"
            for row in wrong
        )
        return Finding(
            Verdict.FALSE,
            f"With squared loss, a nonsingular kernel and little drift the loss still exceeds the "
            f"envelope in: {cases}.",
        )
    if not inside:
        return Finding(
            Verdict.VACUOUS,
            f"In none of the {len(rows)} kinds of run do the derivation's assumptions hold "
            "together.",
        )
    names = "; ".join(f"{row['case']}, {seeds_told(row['assumed'], row)}" for row in inside)
    mended = (
        f"The envelope holds in all {runs} runs with squared loss, λ_min > 0 and a kernel that "
    )
    mended += f"stays ({names})."
    if not idle:
        return Finding(Verdict.OK, mended + " No other run breaks it either.")
    broken, empty = (sum(row[f"others_{word}"] for row in idle) for word in ("broken", "idle"))
    others = sum(row["seeds"] for row in rows) - runs
    return Finding(
        Verdict.MEND,
        f"{mended} Of the {others} others {broken} break it and {empty} are promised nothing: "
        f"{'; '.join(map(_why, idle))}.",
        mended="For the squared loss ½‖r‖² and gradient flow on any kernel K_t, the loss falls at "
        "the rate 2ρ_t with ρ_t = rᵀK_t r/‖r‖², singular and drifting kernels included. Only if "
        "λ_min(K_t) stays above a positive number along the run does an exponential follow; the "
        "kernel at the start vouches for that while its drift in spectral norm is below λ_min.",
        formula=r"\|r_t\|^2 = \|r_0\|^2 \exp\left(-2\int_0^t \rho_s\, ds\right) \le "
        r"\|r_0\|^2 \exp\left(-2\int_0^t \lambda_{\min}(K_s)\, ds\right)",
    )


def _why(row: Mapping[str, Any]) -> str:
    reasons = []
    if row["loss"] != "squared":
        reasons.append("cross-entropy")
    if row["lazy"] < row["seeds"]:
        reasons.append(f"drift {row['drift']:.1g}")
    if row["lambda_min"] == 0:
        reasons.append("λ_min = 0")
    counts = {"broken": row["others_broken"], "promised nothing": row["others_idle"]}
    for word, count in counts.items():
        if count:
            seeds = seeds_told(count, row)
            reasons.append(f"{word} at {seeds}" if seeds else word)
    return f"{row['case']} ({', '.join(reasons)})"


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels=EQ10.labels,
    columns=EQ10.columns,
    draw=draw_envelopes,
    caption=EQ10.caption,
    sample=SAMPLE,
    shares="eq10",
)
