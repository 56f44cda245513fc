"""Eq. 13: TensorGuide's kernel has the larger least eigenvalue."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from ntklab import build_adapter
from ntklab.adapters import Adapter
from ntklab.bounds import best_rates
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.jacobians import jacobian
from paper_checks.tensorguide._least_eigenvalues import GAUSSIAN, ExactKernel, Setting, compared
from paper_checks.tensorguide._tasks import images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq13",
    title="TensorGuide's least eigenvalue is the larger one",
    words="The least eigenvalue of TensorGuide's neural tangent kernel is strictly larger than "
    "that of LoRA's, which the paper takes for the reason of faster and more stable training.",
    formula=r"\lambda_{\min}(T_{tg}) > \lambda_{\min}(T_{lora})",
    assumptions=(
        "none is stated: neither the number of samples, nor ranks, starts or normalization",
        "compared here over the mean eigenvalue, since multiplying the outputs by a number "
        "multiplies λ_min by its square",
    ),
    source="arXiv 2506.16456, eq. 13 (and 29)",
)

SAMPLE = Sample("quantum dots, Gaussian features")

NARROW, WIDE = (1, 2, 2, 1, 1), (1, 2, 2, 2, 1)  # TT-ranks, r_3 = 1 as released and r_3 = 2

A = "a: r < C"
B = "b: B = 0 at the start"
C = "c: r ≥ C, N ≤ d"
D = "d: N > d"

#: Small Gaussian worlds (d = 16), one for each side of every boundary of theory P7.
WORLDS = (
    Setting(label="C=4, r=2, N=8, r₃=2", regime=A, outputs=4, rank=2, width=8, tt_ranks=WIDE,
            activation="identity"),
    Setting(label="C=4, r=2, N=14, r₃=2", regime=A, outputs=4, rank=2, width=8, tt_ranks=WIDE,
            activation="identity", samples=14),
    Setting(label="C=4, r=2, N=8, r₃=1", regime=A, outputs=4, rank=2, tt_ranks=NARROW,
            activation="identity"),
    Setting(label="C=2, r=4, N=8, ReLU", regime=B, preset="paper", width=64, tt_ranks=WIDE),
    Setting(label="C=2, r=4, N=4, ReLU", regime=B, preset="paper", width=64, tt_ranks=WIDE,
            samples=4),
    Setting(label="C=2, r=4, N=8", regime=C, activation="identity"),
    Setting(label="C=2, r=4, N=8, equal norms", regime=C, activation="identity",
            gauge="equal-norm"),
    Setting(label="C=2, r=4, N=8, best gauges", regime=C, activation="identity", gauge="best"),
    Setting(label="C=2, r=4, N=16, M=8", regime=C, activation="identity", samples=16, width=8,
            tt_ranks=NARROW),
    Setting(label="C=2, r=4, N=20, linear", regime=D, activation="identity", samples=20),
    Setting(label="C=2, r=4, N=20, ReLU, r₃=2", regime=D, activation="relu", samples=20,
            tt_ranks=WIDE),
    Setting(label="C=2, r=4, N=24, ReLU, r₃=1", regime=D, activation="relu", samples=24,
            tt_ranks=NARROW),
)  # fmt: skip


def quantum_dot(effort: Effort) -> tuple[Setting, ...]:
    """The paper's task: three starts, then gauges of the same functions."""
    samples = 256 if effort.full else 64
    fewer = 64 if effort.full else 24  # the best gauge is a search
    base = Setting(label="", regime=C, task="quantum-dot", images=images(effort.full), width=1024)
    starts = [
        replace(base, preset=preset, samples=samples, regime=B if preset == "paper" else C)
        for preset in ("ntk", "released", "paper")
    ]
    gauges = [
        replace(base, preset="released", samples=n, gauge=gauge)
        for gauge, n in (("equal-norm", samples), ("given", fewer), ("best", fewer))
    ]
    wide = [replace(starts[0], width=4096), replace(starts[1], samples=512)] if effort.full else []
    return tuple(
        replace(one, label=f"quantum dots, N={one.samples}, M={one.width}")
        for one in (*starts, *wide, *gauges)
    )


def settings(effort: Effort) -> tuple[Setting, ...]:
    """All that eq 13 is tried on."""
    return (*WORLDS, *quantum_dot(effort))


def measure(effort: Effort) -> Measured:
    """Ranks and λ_min/mean of both methods over seeds, and one pair of kernels as fractions."""
    seeds = SAMPLE.seeds(effort)
    small = range(max(10, len(seeds)))
    rows = [row_of(one, small if one.task == GAUSSIAN else seeds) for one in settings(effort)]
    values = exact_values(all_ones("tensorguide"), all_ones("lora"))
    return Measured(values, rows, min(row["seeds"] for row in rows))


def row_of(setting: Setting, seeds: Sequence[int]) -> dict[str, Any]:
    """`compared` with LoRA's rank by formula beside it, and the outcome in a word."""
    row = compared(setting, seeds)
    row["formula_rank"] = lora_rank(setting, row["outputs"])
    return row | {"outcome": outcome(row)}


def lora_rank(setting: Setting, outputs: int) -> int:
    """Theory P3 at generic features: with B = 0 only what A makes of them is left."""
    features = min(setting.samples, setting.features if setting.task == GAUSSIAN else 512)
    if setting.preset == "paper":
        return outputs * min(setting.rank, features)
    through = min(setting.rank, outputs)
    return through * features + (outputs - through) * min(setting.rank, features)


def outcome(row: Mapping[str, Any]) -> str:
    """The question that the ranks leave open, and the answer of the seeds."""
    if row["singular"] == row["seeds"]:
        return "not larger: singular"
    if row["by_rank"] == row["seeds"]:
        return "larger: LoRA singular"
    if row["wins"] == row["seeds"]:
        return "larger"
    return "not larger" if row["wins"] == 0 else f"larger at {row['wins']} of {row['seeds']}"


def all_ones(method: str) -> Adapter:
    """Theory P8: d = 3, C = M = 1, all parameters 1; TensorGuide's w = p ⊗ q has four of them."""
    sizes: dict[str, Any] = {"rank": 1}
    if method == "tensorguide":
        sizes = {"width": 1, "in_dims": (1, 1), "out_dims": (2, 2), "tt_ranks": (1, 1, 1)}
        sizes |= {"activation": "identity"}
    adapter = build_adapter(method, 3, 1, scale=1.0, dtype=torch.float64, **sizes)
    with torch.no_grad():
        for tensor in (*adapter.parameters(), *adapter.buffers()):
            tensor.fill_(1.0)
    return adapter


def exact_values(guide: Adapter, lora: Adapter) -> dict[str, Any]:
    """Both kernels at Φ = I in rational arithmetic, and again after rescaling LoRA's bond.

    The rescaled A → 2A, B → B/2 is the same function. `best` values are over all such scalings:
    reached for LoRA, and a proven ceiling (up to rounding) for TensorGuide.
    """
    x = torch.eye(guide.in_features, dtype=torch.float64)
    J, J_lora = jacobian(guide, x), jacobian(lora, x)
    tg, lo = ExactKernel.of(J.dense()), ExactKernel.of(J_lora.dense())
    with torch.no_grad():
        lora.get_parameter("A").mul_(2)
        lora.get_parameter("B").div_(2)
    moved = ExactKernel.of(jacobian(lora, x).dense())
    smaller, after = tg.below(lo), tg.below(moved)
    return {
        "tg_polynomial": tg.polynomial,
        "lora_polynomial": lo.polynomial,
        "tg_least": float(tg.least[0]),
        "lora_least": float(lo.least[0]),
        "tg_of_mean": float(tg.of_mean[0]),
        "lora_of_mean": float(lo.of_mean[0]),
        "tg_of_largest": float(tg.of_largest[0]),
        "lora_of_largest": float(lo.of_largest[0]),
        "counterexample": all(smaller.values()),
        "moved_of_mean": float(moved.of_mean[0]),
        "order_moves": smaller["of_mean"] and not after["of_mean"],
        "tg_ceiling": best_rates(J.core_grams()).dual,
        "lora_best": best_rates(J_lora.core_grams()).primal,
    }


def judge(measured: Measured) -> Finding:
    """OK if larger everywhere; REGIME if ranks explain where it is not; else FALSE."""
    rows, values = measured.rows, measured.values
    larger = [row for row in rows if row["wins"] == row["seeds"]]
    if len(larger) == len(rows) and not values["counterexample"]:
        return Finding(
            Verdict.OK,
            f"λ_min of TensorGuide is the larger one at every seed of all {len(rows)} settings, "
            "and also in the smallest pair of heads, computed as fractions.",
        )
    by_rank = sum(row["by_rank"] for row in rows)
    counterexample = _counterexample(values)
    if not by_rank or not _formulas_hold(rows):
        return Finding(
            Verdict.FALSE,
            f"TensorGuide's is the larger at every seed in {len(larger)} of {len(rows)} settings, "
            f"and the ranks do not say in which. {counterexample}",
        )
    if len(larger) == len(rows):
        return Finding(
            Verdict.FALSE, f"Larger in all {len(rows)} settings drawn, but: {counterexample}"
        )
    return Finding(
        Verdict.REGIME,
        " ".join(part for part in (_by_rank(rows), _by_numbers(rows), counterexample) if part),
        mended="TensorGuide's λ_min is the larger one where LoRA's kernel is singular and its own "
        "is not, that is, where r < C and N > r, where B = 0 and N > r, or (ReLU only) where "
        "N > d, each time provided that TensorGuide's kernel has rank N·C. Where its rank is "
        "smaller the claim is false, and where both are nonsingular the numbers decide"
        + (
            ", which depend on the gauge of one and the same function." * values["order_moves"]
            or "."
        ),
        formula=r"\lambda_{\min}(T_{tg}) > 0 = \lambda_{\min}(T_{lora}) \iff "
        r"\operatorname{rank} T_{lora} < NC = \operatorname{rank} T_{tg}",
        brief=_brief(rows),
    )


def _formulas_hold(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Ranks are clear of rounding, as integers have them, and LoRA's is that of the formula."""
    return all(
        row["decided"]
        and row["other_rank"] == row["formula_rank"]
        and row["exact_rank"] in (None, row["rank"])
        and row["other_exact_rank"] in (None, row["other_rank"])
        for row in rows
    )


def _by_rank(rows: Sequence[Mapping[str, Any]]) -> str:
    decided = [row for row in rows if row["by_rank"] + row["singular"] == row["seeds"]]
    return (
        f"Ranks alone (float64, integer arithmetic and formula agree) decide {len(decided)} of "
        f"{len(rows)} settings: TensorGuide's λ_min is the larger at "
        f"{sum(row['by_rank_wins'] for row in rows)} of {sum(row['by_rank'] for row in rows)} "
        "draws with LoRA's kernel singular and its own not, and at none of the "
        f"{sum(row['singular'] for row in rows)} with its own singular."
    )


def _brief(rows: Sequence[Mapping[str, Any]]) -> str:
    drawn, won = (sum(row[name] for row in rows) for name in ("by_rank", "by_rank_wins"))
    both = [
        row for row in rows if not row["by_rank"] and not row["singular"] and _as_drawn_dots(row)
    ]
    places = ", ".join(
        f"{row['wins']} of {row['seeds']} ({row['preset']}, {row['setting'].split(', ', 1)[1]})"
        for row in both
    )
    return (
        f"it is so at {won} of {drawn} draws where LoRA's kernel alone is singular; where neither "
        f"is, on quantum dots, at {places or 'no setting tried'}"
    )


def _as_drawn_dots(row: Mapping[str, Any]) -> bool:
    return row["setting"].startswith("quantum") and row["gauge"] == "given"


def _by_numbers(rows: Sequence[Mapping[str, Any]]) -> str:
    both = [row for row in rows if not row["by_rank"] and not row["singular"]]
    settings = [
        f"{row['wins']} of {row['seeds']} seeds ({row['preset']} start, N = {row['samples']}, "
        f"{_gauge(row)}: medians {row['least']:.1e} and {row['other_least']:.1e})"
        for row in both
        if row["setting"].startswith("quantum")
    ]
    if not settings:
        return ""
    return (
        "Where neither is, on quantum dots, its λ_min/mean is larger at "
        + "; ".join(settings)
        + "."
    )


def _gauge(row: Mapping[str, Any]) -> str:
    return "as drawn" if row["gauge"] == "given" else f"{row['gauge']} gauge"


def _counterexample(values: Mapping[str, Any]) -> str:
    if not values["counterexample"]:
        return ""
    gauge = (
        f" The order is one of parametrizations: writing the same LoRA as (2A)(B/2) brings it to "
        f"{values['moved_of_mean']:.3f}."
        if values["order_moves"]
        else ""
    )
    return (
        "Exact counterexample in fractions (d = 3, C = M = 1, Φ = I, all parameters 1): λ_min is "
        f"{values['tg_least']:.3f} for TensorGuide and {values['lora_least']:.0f} for LoRA; over "
        f"the mean {values['tg_of_mean']:.3f} and {values['lora_of_mean']:.3f}." + gauge
    )


def draw(measured: Measured) -> "Figure":
    """A line a setting: median and range of λ_min/mean of both; singular kernels at the left."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing, method_style

    rows = measured.rows
    positive = [row[f"{p}low"] for row in rows for p in ("", "other_") if row[f"{p}low"] > 0]
    zero = min(positive, default=1e-3) / 10
    with drawing("neurips", height_to_width=0.05 * len(rows) + 0.2):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        for prefix, method, shift in (("", "tensorguide", -0.14), ("other_", "lora", 0.14)):
            style = method_style(method)
            for place, row in enumerate(rows):
                median, low, high = (row[f"{prefix}{key}"] for key in ("least", "low", "high"))
                y = place + shift
                if low > 0:
                    axes.plot([low, high], [y, y], color=style.colour, linewidth=1.2)
                axes.plot(
                    max(median, zero), y, style.marker, color=style.colour, markersize=5,
                    markerfacecolor=style.colour if median > 0 else "white",
                    label=style.label if place == 0 else None,
                )  # fmt: skip
        axes.axvline(zero * 2.5, color="#B0B0B0", linewidth=0.6)
        axes.set_xscale("log")
        axes.set_yticks(range(len(rows)), [_label(row) for row in rows], fontsize="small")
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(r"$\lambda_{\min}$ / mean eigenvalue (open: exactly 0)")
        figure.legend(loc="outside upper right", ncols=2)
    return figure


def _label(row: Mapping[str, Any]) -> str:
    start = f", {row['preset']}" if row["setting"].startswith("quantum") else ""
    gauge = f", {row['gauge']} gauge" if row["setting"].startswith("quantum") else ""
    shown = row["setting"].replace("r₃", "$r_3$")
    return f"({row['regime'][0]}) {shown}{start}{gauge if 'given' not in gauge else ''}"


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "tg_polynomial": "counterexample, det(x − K) of TensorGuide",
        "lora_polynomial": "the same of LoRA",
        "tg_least": "λ_min of TensorGuide there",
        "lora_least": "λ_min of LoRA there",
        "tg_of_mean": "λ_min/mean of TensorGuide there",
        "lora_of_mean": "λ_min/mean of LoRA there",
        "tg_of_largest": "λ_min/λ_max of TensorGuide there",
        "lora_of_largest": "λ_min/λ_max of LoRA there",
        "counterexample": "LoRA's is larger in all three ways, proven in rational arithmetic",
        "moved_of_mean": "λ_min/mean of the same LoRA function as (2A)(B/2)",
        "order_moves": "that rescaling turns the order round",
        "tg_ceiling": "ceiling of TensorGuide's λ_min/mean over all scalings of its cores",
        "lora_best": "LoRA's λ_min/mean at its best scaling",
    },
    columns={
        "regime": "regime",
        "setting": "setting",
        "preset": "start",
        "gauge": "gauge",
        "size": "N·C",
        "rank": "rank TG",
        "other_rank": "rank LoRA",
        "least": "λ_min/mean TG",
        "other_least": "λ_min/mean LoRA",
        "wins": "TG larger",
        "seeds": "seeds",
        "p_value": "sign test p",
        "outcome": "TensorGuide's is",
    },
    draw=draw,
    caption="λ_min over the mean eigenvalue of both methods' kernels, median and range over seeds, "
    "in Gaussian worlds on either side of every rank boundary and on the quantum-dot task.",
    sample=SAMPLE,
)
