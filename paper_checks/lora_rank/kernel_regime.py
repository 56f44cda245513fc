"""Whether few-shot fine-tuning with LoRA is in the kernel regime that both papers suppose."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Verdict
from ntklab.experiments.training.panel import PANEL, Panel
from paper_checks import _panel as runs

CLAIM = Claim(
    id="kernel_regime",
    title="Few-shot prompts keep LoRA in the kernel regime",
    words="Fine-tuning LoRA on few sentences with a prompt stays in the kernel regime, where the "
    "linearized loss describes training.",
    formula=r"\lVert K_t - K_0\rVert \le 0.1\,\lVert K_0\rVert,\quad "
    r"\lVert f_t - f_{\mathrm{lin}}\rVert \le 0.1\,\lVert f_t - f_0\rVert",
    confidence="M",
    assumptions=(
        "both papers take the regime from experiments on few-shot prompts; here it is measured",
        "the certificate of this library: kernel drift, error of the linearization, lazy index",
        "judged on SGD, whose steps are those of the kernel; Adam's are not, whatever drifts",
    ),
    source="arXiv 2402.11867 and arXiv 2605.03724, setting",
)
SAMPLE = runs.sample("a prompt task: LoRA of the panel, fine-tuned by SGD and Adam")
_METHODS = ("lora", "peft:lora")


def measure(effort: Effort) -> Measured:
    """The certificate of every LoRA run."""
    panel, values = runs.read(effort, PANEL)
    return collect(panel, values) if panel else runs.absent(values)


def collect(panel: Panel, values: Mapping[str, Any]) -> Measured:
    """One row a run."""
    figures = (
        *("drift_sgd", "linearization_error_sgd"),
        *("drift_adam", "linearization_error_adam"),
    )
    names = ("variant", "seed", "params", "adapter_rank", "accuracy_sgd", *figures)
    loras = panel.only(lambda row: row.get("method") in _METHODS)
    whole = panel.table("ntk_regime_sgd")  # with every seed
    rows = [
        {name: row.get(name) for name in names} | {"certified": row.get("ntk_regime_sgd")}
        for row in loras.rows
    ]
    judged = [row for row in rows if row["variant"] in whole]
    own = {
        "variants": len(loras.variants),
        "runs": len(judged),
        "certified": sum(bool(row["certified"]) for row in judged),
        **{f"median_{name}": _median(rows, name) for name in figures},
    }
    return Measured({**values, **own}, rows, len(panel.seeds))


def judge(measured: Measured) -> Finding:
    """OK if every run is certified, FALSE if none is, REGIME if some are; DATA without any."""
    v = measured.values
    text = (
        f"The certificate admits {v['certified']} of {v['runs']} runs of LoRA with SGD. Medians: "
        f"the kernel drifts by {_number(v['median_drift_sgd'])} and the linearization misses "
        f"{_number(v['median_linearization_error_sgd'])} of the movement with SGD, "
        f"{_number(v['median_drift_adam'])} and {_number(v['median_linearization_error_adam'])} "
        f"with Adam (limits 0.1). {runs.setting_text(v)}"
    )
    brief = f"{v['certified']} of {v['runs']} runs certified"
    if not v["runs"] or not runs.enough(v):
        return Finding(Verdict.DATA, text, brief=brief)
    if v["certified"] == v["runs"]:
        return Finding(Verdict.OK, text, brief=brief)
    if v["certified"] == 0:
        return Finding(Verdict.FALSE, text, brief=brief)
    inside = [r["variant"] for r in measured.rows if r["certified"]]
    return Finding(
        Verdict.REGIME,
        text,
        f"It holds of runs of {', '.join(dict.fromkeys(inside))}.",
        brief=brief,
    )


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
        "runs": "runs of LoRA with SGD that were judged",
        "certified": "of them in the kernel regime",
        "median_drift_sgd": "median kernel drift, SGD",
        "median_linearization_error_sgd": "median error of the linearization, SGD",
        "median_drift_adam": "median kernel drift, Adam",
        "median_linearization_error_adam": "median error of the linearization, Adam",
        **runs.LABELS,
    },
    columns={
        **{"variant": "variant", "seed": "seed", "params": "P", "adapter_rank": "rank"},
        **{"certified": "kernel regime", "drift_sgd": "drift, SGD"},
        **{"linearization_error_sgd": "linearization misses, SGD", "drift_adam": "drift, Adam"},
        **{"linearization_error_adam": "linearization misses, Adam"},
        "accuracy_sgd": "test accuracy, SGD",
    },
    sample=SAMPLE,
    records=(PANEL,),
)
