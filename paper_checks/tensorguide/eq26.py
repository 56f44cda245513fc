"""Eq. 26: a lower bound on the kernel's least eigenvalue from those of its two factors."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ntklab.adapters import FactorAdapter
from ntklab.bounds.composition import composition_bounds
from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.jacobians.weight_space import weight_jacobian
from paper_checks.tensorguide.eq25 import ACTIVATIONS, head_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq26",
    title="Least eigenvalue of the kernel from those of its factors",
    words="The least eigenvalue of TensorGuide's kernel is at least the product of the least "
    "eigenvalues of the tensor train's part and of the network's part.",
    formula=r"\lambda_{\min}(K_{TG}) \ge \lambda_{\min}(J_{TT}J_{TT}^\top)\,"
    r"\lambda_{\min}(G_wG_w^\top)",
    assumptions=(
        "none to be true (Ostrowski's theorem)",
        "rank of the tensor train's derivative equal to the number D of generated weights, for "
        "the right side to be positive",
    ),
)
SAMPLE = Sample(
    "small heads, Gaussian features",
    why="Both factors are formed densely; at the paper's size one has half a million rows.",
)
_MENDED = (
    r"\sigma^+_{\min}(J_{TT})^2\,\sigma_{\min}(G_wQ)^2 \le \lambda_{\min}(K_{TG}) \le "
    r"\sigma_{\max}(J_{TT})^2\,\sigma_{\min}(G_wQ)^2"
)


def row_of(head: FactorAdapter, features: Tensor, name: str, seed: int) -> dict[str, Any]:
    """All bounds of one head at its own samples."""
    composed = composition_bounds(weight_jacobian(head, features), head.tangent_map())
    return {
        **{"head": name, "seed": seed, "NC": composed.outputs, "P": head.parameter_count},
        **{"D": composed.weights, "rank": composed.rank, "product": composed.product},
        **{"lower": composed.lower, "lambda_min": composed.smallest, "upper": composed.upper},
        **{"holds": composed.product_holds, "repair_holds": composed.repair_holds},
    }


def measure(effort: Effort) -> Measured:
    """TensorGuide at 12 features, 2 outputs and width 8, over starts and samples."""
    rows = []
    for activation in ACTIVATIONS:
        for seed in SAMPLE.seeds(effort):
            head = head_of(activation, seed)
            generator = torch.Generator().manual_seed(1000 + seed)
            features = torch.randn(6, head.in_features, generator=generator, dtype=torch.float64)
            rows.append(row_of(head, features, f"TensorGuide, {activation}", seed))
    return collect(rows)


def collect(rows: Iterable[Mapping[str, Any]]) -> Measured:
    """In how many rows eq 26 is positive, and how far apart the repaired bounds are."""
    rows = list(rows)
    within = [row for row in rows if row["lower"] > 0]
    spread = sorted(row["upper"] / row["lower"] for row in within)
    return Measured(
        {
            "trials": len(rows),
            "positive": sum(row["product"] > 0 for row in rows),
            "kernels_positive": sum(row["lambda_min"] > 0 for row in rows),
            "violations": sum(not row["holds"] for row in rows),
            "repair_violations": sum(not row["repair_holds"] for row in rows),
            "median_ratio": spread[len(spread) // 2] if spread else None,
        },
        rows,
        len({row["seed"] for row in rows}),
    )


def judge(measured: Measured) -> Finding:
    """FALSE if violated; VACUOUS if zero although the kernel is not singular; else OK."""
    v, first = measured.values, measured.rows[0]
    mended = (
        "On the range of the tensor train's derivative the bound is two-sided and not zero: Q is "
        "an orthonormal basis of that range, and both sides are positive exactly where NC does "
        "not exceed the rank."
    )
    if v["repair_violations"]:
        mended = ""
    formula = _MENDED if mended else ""
    if v["violations"]:
        worst = next(row for row in measured.rows if not row["holds"])
        return Finding(
            Verdict.FALSE,
            f"Violated in {v['violations']} of {v['trials']} trials, for example "
            f"{worst['product']:.2g} against λ_min(K) = {worst['lambda_min']:.2g}.",
        )
    if v["positive"] == v["trials"]:
        return Finding(
            Verdict.OK,
            f"It holds and is positive in all {v['trials']} trials; the first says "
            f"{first['product']:.2g} ≤ {first['lambda_min']:.2g}.",
        )
    if v["positive"]:
        return Finding(
            Verdict.REGIME,
            f"It holds, and is positive in {v['positive']} of {v['trials']} trials: where the "
            "rank of the tensor train's derivative reaches D.",
            mended,
            formula,
        )
    if not v["kernels_positive"]:
        return Finding(
            Verdict.VACUOUS,
            f"It says 0 ≤ 0 in all {v['trials']} trials: these kernels are singular themselves.",
            mended,
            formula,
        )
    return Finding(
        Verdict.VACUOUS,
        f"It holds in all {v['trials']} trials and says nothing in any: the tensor train's "
        f"derivative has rank {first['rank']} in {first['D']} weights, so the right side is 0, "
        f"while λ_min(K) is, for example, {first['lambda_min']:.2g}. The repaired bounds say "
        f"{first['lower']:.2g} and {first['upper']:.2g} there; their median ratio is "
        f"{v['median_ratio']:.3g}.",
        mended,
        formula,
    )


def draw(measured: Measured) -> "Figure":
    """λ_min(K) between the two repaired bounds, head by head."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing

    rows = [row for row in measured.rows if row["lower"] > 0]
    with drawing(height_to_width=0.5):
        figure = Figure()
        axes = figure.subplots()
        for place, row in enumerate(rows):
            axes.plot([place] * 2, [row["lower"], row["upper"]], color="#0072B2", marker="_")
        values = [row["lambda_min"] for row in rows]
        axes.plot(range(len(rows)), values, "o", color="#D55E00", label=r"$\lambda_{min}(K)$")
        axes.plot([], [], color="#0072B2", marker="_", label="repaired bounds")
        axes.set_yscale("log")
        axes.set_xticks(range(len(rows)), [str(row["seed"]) for row in rows])
        names = list(dict.fromkeys(row["head"] for row in rows))
        axes.set_xlabel(f"seed: {', then '.join(names)}")
        axes.set_ylabel("eigenvalue")
        axes.legend()
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "trials": "heads",
        "positive": "of them with a positive right side of eq 26",
        "kernels_positive": "of them with a positive λ_min(K)",
        "violations": "of them where eq 26 fails",
        "repair_violations": "of them where a repaired bound fails",
        "median_ratio": "median of upper over lower repaired bound",
    },
    columns={
        **{"head": "head", "seed": "seed", "NC": "NC", "P": "P", "D": "D", "rank": "rank"},
        **{"product": "eq 26", "lower": "repaired, lower", "lambda_min": "λ_min(K)"},
        "upper": "repaired, upper",
    },
    draw=draw,
    caption="λ_min of TensorGuide's kernel between the repaired bounds; eq 26 says 0 for all of "
    "them, which has no place on this axis.",
    sample=SAMPLE,
)
