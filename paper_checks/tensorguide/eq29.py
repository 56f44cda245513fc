"""Eq. 29: the inequality of eq. 13 again, and the appendix's proof of it step by step."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ntklab import LoRA, TensorGuide, build_adapter, jacobian, spectrum
from ntklab.adapters import Adapter
from ntklab.bounds.composition import composition_bounds
from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.jacobians.weight_space import weight_jacobian, weight_kernel
from paper_checks.tensorguide._least_eigenvalues import Setting, least
from paper_checks.tensorguide.eq13 import CLAIM as EQ13
from paper_checks.tensorguide.eq13 import WORLDS, A, B, C, D, all_ones, exact_values
from paper_checks.tensorguide.eq23 import chained

CLAIM = Claim(
    id="eq29",
    title="The appendix's proof of superiority",
    words="The derivative of LoRA is rank deficient, that of the tensor train is positive "
    "definite, and the hidden layer's is better conditioned; so the product of eq 26 puts "
    "TensorGuide's least eigenvalue above LoRA's.",
    formula=EQ13.formula,
    assumptions=(
        "all of eqs 23 to 28 at once",
        "that a lower bound on the one and a small factor in the other order the two kernels",
    ),
    source="arXiv 2506.16456, eq. 29 (appendix; the statement is eq. 13)",
)


SAMPLE = Sample(
    "Gaussian features",
    why="Each step needs the weights' derivatives as matrices, which small heads have; the "
    "conclusion itself is tried on quantum dots by eq13.",
)


def _first(regime: str, activation: str | None = None) -> Setting:
    return next(
        one for one in WORLDS if one.regime == regime and activation in (None, one.activation)
    )


#: One small Gaussian world of eq 13 a regime, the paper's own (r ≥ C, N ≤ d) first.
SETTINGS: dict[str, Setting] = {
    C: _first(C),
    A: _first(A),
    B: _first(B),
    f"{D}, with ReLU": _first(D, "relu"),
    "e: N > d, linear": _first(D, "identity"),
}
STEPS = {
    "23": "K_lora is the product of its factors",
    "24": "LoRA's derivative is singular",
    "25": "K_TG is the product of its factors",
    "26": "λ_min(K_TG) is at least the product",
    "27": "G of TensorGuide has the larger λ_min/mean",
    "28": "the tensor train's derivative is positive definite",
    "29": "λ_min/mean of TensorGuide is the larger one",
}
_TINY = 1e-11


def steps(guide: TensorGuide, lora: LoRA, features: Tensor) -> dict[str, bool]:
    """Which steps of the proof hold for this pair of heads on these samples."""
    eye = torch.eye(lora.in_features, dtype=features.dtype)
    derivative = spectrum(jacobian(lora, eye))
    G, T = weight_jacobian(guide, features), guide.tangent_map()
    bounds = composition_bounds(G, T)
    return {
        "23": _equal(chained(lora, features), _kernel(lora, features)),
        "24": derivative.rank < derivative.size,
        "25": _equal(G @ T @ T.T @ G.T, _kernel(guide, features)),
        "26": bounds.product_holds,
        "27": _over_mean(weight_kernel(guide, features)) > _merged_over_mean(lora, features),
        "28": bounds.rank == bounds.weights,
        "29": least(guide, features).over_mean > least(lora, features).over_mean,
    }


def trial(setting: Setting, seed: int) -> dict[str, bool]:
    """The steps for one draw of a setting."""
    features, outputs = setting.inputs(seed)
    heads = [
        setting.adapter(name, features.shape[1], outputs, seed) for name in ("tensorguide", "lora")
    ]
    assert isinstance(heads[0], TensorGuide)
    assert isinstance(heads[1], LoRA)
    return steps(heads[0], heads[1], features)


def measure(effort: Effort) -> Measured:
    """Every step in every regime, over seeds; the smallest pair of heads as fractions."""
    trials = {
        regime: [trial(setting, seed) for seed in SAMPLE.seeds(effort)]
        for regime, setting in SETTINGS.items()
    }
    return collect(trials, exact_values(all_ones("tensorguide"), all_ones("lora")))


def collect(
    trials: Mapping[str, Sequence[Mapping[str, bool]]], exact: Mapping[str, Any]
) -> Measured:
    """A row a step: at how many draws of each regime it holds."""
    rows = []
    for step, needs in STEPS.items():
        counts = {_column(regime): sum(t[step] for t in ts) for regime, ts in trials.items()}
        rows.append({"step": f"({step})", "needs": needs, **counts})
    draws = {f"draws_{_column(regime)}": len(ts) for regime, ts in trials.items()}
    names = ("counterexample", "tg_least", "lora_least", "tg_of_mean", "lora_of_mean")
    # true premises and a false conclusion, or the reverse: what a proof must not allow
    every = [t for ts in trials.values() for t in ts]
    return Measured(
        {
            **draws,
            "draws": len(every),
            "all_premises": sum(_premises(t) for t in every),
            "conclusion": sum(t["29"] for t in every),
            "conclusion_without": sum(t["29"] and not _premises(t) for t in every),
            **{name: exact[name] for name in names},
        },
        rows,
        min(map(len, trials.values())),
    )


def judge(measured: Measured) -> Finding:
    """By the conclusion over all draws, and by the steps that carry it."""
    v = measured.values
    broken = [row for row in measured.rows[:-1] if _total(row) < v["draws"]]
    steps = "; ".join(f"{row['step']} at {_total(row)} of {v['draws']}" for row in broken)
    proof = (
        f"All six premises hold at {v['all_premises']} of {v['draws']} draws. Those that fail "
        f"somewhere hold as follows: {steps}."
        if broken
        else f"All premises hold at all {v['draws']} draws."
    )
    conclusion = f"The conclusion holds at {_places(measured)}"
    if v["conclusion"] == v["draws"] and not v["counterexample"]:
        if not broken:
            return Finding(Verdict.OK, f"{proof} {conclusion}.")
        return Finding(
            Verdict.MEND,
            f"{proof} {conclusion}, so it is not this proof that makes it true.",
            "True at every draw, for a reason other than the premises that fail.",
        )
    least_pair = (
        f" In the smallest pair of heads, as fractions, λ_min is {v['tg_least']:.3f} for "
        f"TensorGuide and {v['lora_least']:.3g} for LoRA, over the mean {v['tg_of_mean']:.3f} and "
        f"{v['lora_of_mean']:.3f}."
        if v["counterexample"]
        else ""
    )
    if not v["conclusion"]:
        return Finding(Verdict.FALSE, f"{proof} {conclusion}.{least_pair}")
    return Finding(
        Verdict.REGIME,
        f"{proof} {conclusion}; of these {v['conclusion']} draws, {v['conclusion_without']} lack a "
        f"premise.{least_pair}",
        "What decides is rank, as for eq 13: where LoRA's kernel is singular and TensorGuide's is "
        "not, the inequality holds; the tensor train's derivative is never positive definite with "
        "more weights than parameters, so the proof's lower bound is 0 throughout.",
        r"\lambda_{\min}(J_{TT}J_{TT}^\top) = 0 \ \text{for } D > P",
        brief=f"true at {v['conclusion']} of {v['draws']} draws, the proof's premises at "
        f"{v['all_premises']}",
    )


def _premises(trial_: Mapping[str, bool]) -> bool:
    return all(trial_[step] for step in STEPS if step != "29")


def _places(measured: Measured) -> str:
    last = measured.rows[-1]
    return ", ".join(
        f"{last[_column(regime)]} of {measured.values[f'draws_{_column(regime)}']} where {regime}"
        for regime in SETTINGS
        if _column(regime) in last
    )


def _total(row: Mapping[str, Any]) -> int:
    return sum(value for name, value in row.items() if name not in ("step", "needs"))


def _column(regime: str) -> str:
    return regime.split(":", maxsplit=1)[0]


def _kernel(head: Adapter, features: Tensor) -> Tensor:
    rows = jacobian(head, features, engine="loop").dense()
    return rows @ rows.T


def _equal(measured: Tensor, wanted: Tensor) -> bool:
    return bool((measured - wanted).norm() <= _TINY * wanted.norm())


def _over_mean(kernel: Tensor) -> float:
    result = spectrum(kernel)
    return result.lambda_min / result.mean


def _merged_over_mean(lora: LoRA, features: Tensor) -> float:
    """LoRA's weights are the merged ΔW, where G is Φ ⊗ I up to the scale."""
    probe = build_adapter("linear-probe", lora.in_features, lora.out_features, dtype=features.dtype)
    return _over_mean(weight_kernel(probe, features))


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "draws": "draws, all regimes",
        "all_premises": "of them with all six premises true",
        "conclusion": "of them with the conclusion true",
        "conclusion_without": "of these, with a premise false",
        "tg_least": "smallest pair as fractions, λ_min of TensorGuide",
        "lora_least": "the same, of LoRA",
        "tg_of_mean": "over the mean, TensorGuide",
        "lora_of_mean": "over the mean, LoRA",
        "counterexample": "LoRA's is the larger there in every normalization",
    },
    columns={
        **{"step": "step", "needs": "what it needs"},
        **{_column(regime): f"holds, {regime}" for regime in SETTINGS},
    },
    sample=SAMPLE,
)
