"""Whether few-shot fine-tuning with LoRA is in the kernel regime that both papers suppose."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Verdict
from ntklab.dynamics import LINEARIZATION_LIMIT
from ntklab.experiments.training.panel import PANEL, Panel
from paper_checks import _panel as runs

CLAIM = Claim(
    id="kernel_regime",
    title="Few-shot prompts keep LoRA in the kernel regime",
    words="Fine-tuning LoRA on few sentences with a prompt stays in the kernel regime of full "
    "fine-tuning, where the model is linear in its weights.",
    formula=r"\lVert f(W+\Delta W_t) - f(W) - \nabla_W f(W)\,\Delta W_t\rVert \le "
    r"0.1\,\lVert f(W+\Delta W_t) - f(W)\rVert",
    confidence="M",
    assumptions=(
        "both papers take the regime from experiments on few-shot prompts; here it is measured",
        "the regime is that of the weights W, as the papers linearize; LoRA's own kernel, over A "
        "and B, changes even where f is linear in W, so its certificate stands beside",
    ),
    source="arXiv 2402.11867 and arXiv 2605.03724, setting",
)
SAMPLE = runs.sample("a prompt task: LoRA of the panel, fine-tuned by SGD and Adam")
_METHODS = ("lora", "peft:lora")
_OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}
_MISSED = "weights_linearization_error"
_WORDS = {
    _MISSED: "linearization in W misses",
    "drift": "drift of LoRA's kernel",
    "linearization_error": "linearization in A, B misses",
}


def measure(effort: Effort) -> Measured:
    """How far every LoRA run is from linear in the weights, and the certificate of its kernel."""
    panel, values = runs.read(effort, PANEL)
    return collect(panel, values) if panel else runs.absent(values)


def collect(panel: Panel, values: Mapping[str, Any]) -> Measured:
    """One row a variant and seed."""
    figures = [f"{name}_{optimizer}" for optimizer in _OPTIMIZERS for name in _WORDS]
    names = ("variant", "seed", "params", "adapter_rank", *figures)
    loras = panel.only(lambda row: row.get("method") in _METHODS)
    rows = [{name: row.get(name) for name in names} for row in loras.rows]
    missed: list[tuple[str, float]] = []
    unmeasured = []
    for optimizer, label in _OPTIMIZERS.items():
        whole = panel.table(f"{_MISSED}_{optimizer}")  # of variants that have it at every seed
        missed += [
            (f"{variant} with {label}", error)
            for variant in loras.variants
            if variant in whole
            for error in whole[variant].values()
        ]
        if not any(variant in whole for variant in loras.variants):
            unmeasured.append(label)
    outside = {which for which, error in missed if not error <= LINEARIZATION_LIMIT}
    inside = dict.fromkeys(which for which, _ in missed if which not in outside)
    own = {
        "variants": len(loras.variants),
        "runs": len(missed),
        "linear": sum(error <= LINEARIZATION_LIMIT for _, error in missed),
        "inside": ", ".join(inside),
        "unmeasured": ", ".join(unmeasured),
        "certified": sum(bool(row.get("ntk_regime_sgd")) for row in loras.rows),
        **{f"median_{name}": _median(rows, name) for name in figures},
    }
    return Measured({**values, **own}, rows, len(panel.seeds))


def judge(measured: Measured) -> Finding:
    """OK if every run is linear in the weights, FALSE if none is, REGIME if some.

    DATA without runs; and where all runs agree, but an optimizer has none yet.
    """
    v = measured.values
    text = (
        f"Linear in the weights are {v['linear']} of {v['runs']} runs of LoRA: the linearization "
        f"misses {_number(v['median_weights_linearization_error_sgd'])} of the movement with SGD "
        f"and {_number(v['median_weights_linearization_error_adam'])} with Adam (medians of each "
        f"run's largest; limit {LINEARIZATION_LIMIT}). Over LoRA's own parameters the kernel "
        f"drifts by {_number(v['median_drift_sgd'])} and {_number(v['median_drift_adam'])} times "
        f"its size, and the certificate admits {v['certified']} runs with SGD. "
        f"{runs.setting_text(v)}"
    )
    brief = f"{v['linear']} of {v['runs']} runs linear in the weights"
    if not v["runs"] or not runs.enough(v):
        return Finding(Verdict.DATA, text, brief=brief)
    if v["unmeasured"] and v["linear"] in (0, v["runs"]):
        text += f" It is open until {v['unmeasured']} is measured at every seed."
        return Finding(Verdict.DATA, text, brief=brief)
    if v["linear"] == v["runs"]:
        return Finding(Verdict.OK, text, brief=brief)
    if v["linear"] == 0:
        return Finding(Verdict.FALSE, text, brief=brief)
    mended = f"It holds of {v['inside']}." if v["inside"] else "It holds of single runs."
    return Finding(Verdict.REGIME, text, mended, brief=brief)


def _median(rows: list[dict[str, Any]], name: str) -> float | None:
    known = [row[name] for row in rows if row[name] is not None]
    return median(known) if known else None


def _number(value: float | None) -> str:
    return "an unknown share" if value is None else f"{value:.2g}"


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "runs": "runs of LoRA that were judged",
        "linear": "of them linear in the weights",
        "inside": "variants and optimizers whose runs all are",
        "unmeasured": "optimizers without runs at every seed",
        "certified": "runs with SGD that the certificate of LoRA's own kernel admits",
        **{
            f"median_{name}_{optimizer}": f"median {words}, {label}"
            for optimizer, label in _OPTIMIZERS.items()
            for name, words in _WORDS.items()
        },
        **runs.LABELS,
    },
    columns={
        **{"variant": "variant", "seed": "seed", "params": "P", "adapter_rank": "rank"},
        **{
            f"{name}_{optimizer}": f"{words}, {label}"
            for optimizer, label in _OPTIMIZERS.items()
            for name, words in _WORDS.items()
        },
    },
    sample=SAMPLE,
    records=(PANEL,),
)
