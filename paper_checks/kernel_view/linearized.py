"""How much of what fine-tuning gains the linearized model gains too."""

from collections.abc import Mapping, Sequence
from typing import Any

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Verdict
from ntklab.experiments.training.panel import OPTIMIZERS, PANEL, Panel
from ntklab.statistics import SIGNIFICANT, equivalence, holm, mean_interval
from paper_checks import _panel as runs

CLAIM = Claim(
    id="linearized",
    title="The linearized model recovers half of the gain",
    words="On a prompt task, training the linearized model recovers at least half of what "
    "fine-tuning gains over the untrained model.",
    formula=r"\mathrm{acc}(\mathrm{lin}) - \mathrm{acc}(\theta_0) \ge \tfrac12 "
    r"(\mathrm{acc}(\theta_T) - \mathrm{acc}(\theta_0))",
    confidence="L",
    assumptions=(
        "the rule of one half is the paper's as the design of this project has it; its text did "
        "not reach us in full",
        "linearized training by cross-entropy, f_0 kept, stopped by held-out sentences; runs that "
        "still gained when their epochs ended are left out",
    ),
    source="arXiv 2210.05643",
)
SAMPLE = runs.sample("a prompt task: every method of the panel, fine-tuned by SGD and Adam")


def measure(effort: Effort) -> Measured:
    """Gain of the linearized model less half of fine-tuning's, by variant and optimizer."""
    panel, values = runs.read(effort, PANEL)
    return collect(panel, values) if panel else runs.absent(values)


def collect(panel: Panel, values: Mapping[str, Any]) -> Measured:
    """One row a variant and optimizer."""
    rows = []
    linear, zero = (
        panel.table("predicted_accuracy_cross_entropy"),
        panel.table("zero_shot_accuracy"),
    )
    for optimizer in OPTIMIZERS:
        tuned = panel.table(f"accuracy_{optimizer}")
        for name in (name for name in linear if name in zero and name in tuned):
            if panel.cut_off(name, optimizer):
                continue  # fine-tuning that has not ended gives no gain to compare with
            rows.append(_row(name, optimizer, linear[name], zero[name], tuned[name]))
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
        row["sure"] = row["sign"] if p < SIGNIFICANT else 0
    own = {
        "variants": len(panel.variants),
        "cases": len(rows),
        "holding": sum(row["sign"] > 0 for row in rows),
        "surely_holding": sum(row["sure"] > 0 for row in rows),
        "failing": sum(row["sure"] < 0 for row in rows),
    }
    return Measured({**values, **own}, rows, len(panel.seeds))


def _row(name: str, optimizer: str, *tables: Mapping[int, float]) -> dict[str, Any]:
    linear, zero, tuned = tables
    excess = [(linear[s] - zero[s]) - 0.5 * (tuned[s] - zero[s]) for s in linear]
    interval = mean_interval(excess)
    return {
        "left": name,
        "optimizer": optimizer,
        "seeds": len(excess),
        "gain": sum(tuned[s] - zero[s] for s in linear) / len(excess),
        "linear_gain": sum(linear[s] - zero[s] for s in linear) / len(excess),
        "excess": interval.value,
        "low": interval.low,
        "high": interval.high,
        "sign": interval.sign,
        "p": _p(excess),
    }


def _p(values: Sequence[float]) -> float:
    """Two-sided, that the mean is zero; 1 of a single value."""
    if len(values) < 2:
        return 1.0
    return equivalence(
        dict(enumerate(values)), dict.fromkeys(range(len(values)), 0.0), margin=1.0
    ).p_difference


def judge(measured: Measured) -> Finding:
    """OK if it holds of all, FALSE if it fails of some and holds of none, REGIME if of some.

    That it fails of one, or holds of one where it fails of others, is said after Holm.
    """
    v = measured.values
    text = (
        f"Linearized training gains at least half of what fine-tuning gains in {v['holding']} of "
        f"{v['cases']} cases (95 % intervals over seeds; {v['surely_holding']} after Holm), and "
        f"less in {v['failing']} (after Holm); the others these seeds do not decide. "
        f"{runs.width_text(v)}{runs.setting_text(v)}"
    )
    brief = f"holds in {v['holding']} of {v['cases']}"
    if not (runs.enough(v) and runs.wide(v)):
        return Finding(Verdict.DATA, text, brief=brief)
    if v["cases"] and v["holding"] == v["cases"]:
        return Finding(Verdict.OK, text, brief=brief)
    if v["failing"] and v["surely_holding"]:
        names = [f"{r['left']} ({r['optimizer']})" for r in measured.rows if r["sure"] < 0]
        return Finding(Verdict.REGIME, text, f"It fails of {', '.join(names[:6])}.", brief=brief)
    return Finding(Verdict.FALSE if v["failing"] else Verdict.DATA, text, brief=brief)


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "cases": "variants and optimizers",
        "holding": "of them where half is recovered",
        "surely_holding": "of them after Holm",
        "failing": "of them where less is, after Holm",
        **runs.LABELS,
    },
    columns={
        **{"left": "variant", "optimizer": "optimizer", "seeds": "seeds"},
        **{"gain": "gain, fine-tuned", "linear_gain": "gain, linearized"},
        **{"excess": "gain less half", "low": "95 %, low", "high": "95 %, high"},
        **{"p": "p", "p_holm": "p (Holm)"},
    },
    sample=SAMPLE,
    records=(PANEL,),
)
