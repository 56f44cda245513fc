"""Eq. 22: eq. 10 derived, by gradient flow of the residual."""

from collections.abc import Mapping, Sequence
from typing import Any

from paper_checks.eq10 import CHECK as EQ10
from paper_checks.eq10 import LEAST_PROMISE, cases_of, draw, holds, measure, promises
from paper_checks.harness.claim import Check, Claim, Finding, Measured, Verdict

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


def assumed(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a case has all three: squared loss, a kernel that stays, and λ_min > 0."""
    first = rows[0]
    return first["loss"] == "squared" and bool(first["regime"]) and first["lambda_min"] > 0


def judge(measured: Measured) -> Finding:
    """The derivation stands if the envelope holds wherever its assumptions do."""
    cases = cases_of(measured.rows)
    inside = {name: rows for name, rows in cases.items() if assumed(rows)}
    outside = {name: rows for name, rows in cases.items() if name not in inside}
    wrong = [name for name, rows in inside.items() if not holds(rows)]
    idle = [n for n, rows in outside.items() if not holds(rows) or promises(rows) < LEAST_PROMISE]
    if wrong:
        return Finding(
            Verdict.FALSE,
            f"With squared loss, a nonsingular kernel and little drift the loss still exceeds the "
            f"envelope in: {'; '.join(wrong)}.",
        )
    if not inside:
        return Finding(
            Verdict.VACUOUS,
            f"In none of the {len(cases)} cases do the derivation's assumptions hold together.",
        )
    kept = f"The envelope holds in all {len(inside)} cases with squared loss, λ_min > 0 and a "
    kept += f"kernel that stays ({'; '.join(inside)})."
    if not idle:
        return Finding(Verdict.OK, kept + " No other case breaks it either.")
    return Finding(
        Verdict.MEND,
        f"{kept} Of the {len(outside)} others {len(idle)} break it or are promised nothing: "
        f"{'; '.join(_why(name, outside[name]) for name in idle)}.",
        mended="For the squared loss ½‖r‖² and gradient flow on any kernel K_t, the loss falls at "
        "the rate 2ρ_t with ρ_t = rᵀK_t r/‖r‖², singular and drifting kernels included. Only if "
        "λ_min(K_t) stays above a positive number along the run does an exponential follow; the "
        "kernel at the start vouches for that while its drift in spectral norm is below λ_min.",
        formula=r"\|r_t\|^2 = \|r_0\|^2 \exp\left(-2\int_0^t \rho_s\, ds\right) \le "
        r"\|r_0\|^2 \exp\left(-2\int_0^t \lambda_{\min}(K_s)\, ds\right)",
    )


def _why(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    reasons = []
    if rows[0]["loss"] != "squared":
        reasons.append("cross-entropy")
    if not rows[0]["regime"]:
        reasons.append(f"drift {max(row['drift'] for row in rows):.1g}")
    if rows[0]["lambda_min"] == 0:
        reasons.append("λ_min = 0")
    last = rows[-1]
    reasons.append(f"loss {last['measured']:.2g}, allowed {last['envelope']:.2g}")
    return f"{name} ({', '.join(reasons)})"


CHECK = Check(
    CLAIM, measure, judge, labels=EQ10.labels, columns=EQ10.columns, draw=draw, caption=EQ10.caption
)
