"""Accuracy by the kernel at the start beside accuracy after fine-tuning, method by method."""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Verdict
from ntklab.experiments.training.panel import OPTIMIZERS, PANEL, Panel
from paper_checks import _equivalences as pairs
from paper_checks import _panel as runs

CLAIM = Claim(
    id="kernel_view",
    title="Kernel regression as accurate as fine-tuning",
    words="On a prompt task, kernel regression with the kernel at the start is as accurate as "
    "fine-tuning.",
    formula=r"\lvert \mathrm{acc}(K_0) - \mathrm{acc}(\theta_T) \rvert < 0.02",
    confidence="M",
    assumptions=(
        "the abstract says that prompts often induce kernel dynamics; as accurate is read as "
        "within two points, to be shown by a paired test, and beside it by the paper's own rule "
        "as the design of this project has it, at least 90 % of fine-tuning's accuracy",
        "the prediction is the one that held-out sentences chose, never the test sentences",
        "one model, one data set and one prompt a record; runs that still gained when their epochs "
        "ended are left out",
    ),
    source="arXiv 2210.05643, abstract",
)
SAMPLE = runs.sample("a prompt task: every method of the panel, fine-tuned by SGD and Adam")
_SHARE = 0.9


def measure(effort: Effort) -> Measured:
    """Predicted minus fine-tuned accuracy of every variant and optimizer."""
    panel, values = runs.read(effort, PANEL)
    return collect(panel, values) if panel else runs.absent(values)


def collect(panel: Panel, values: Mapping[str, Any]) -> Measured:
    """One row a variant and optimizer."""
    predicted, rows = panel.table("predicted_accuracy"), []
    for optimizer in OPTIMIZERS:
        tuned = panel.table(f"accuracy_{optimizer}")
        for name in (name for name in predicted if name in tuned):
            if panel.cut_off(name, optimizer):
                continue  # fine-tuning that has not ended gives no accuracy to compare with
            ratio = fmean(predicted[name].values()) / max(fmean(tuned[name].values()), 1e-9)
            row = pairs.compared(
                name, "fine-tuned", predicted[name], tuned[name], optimizer=optimizer,
                left_params=panel.first(name).get("params"), ratio=ratio,
            )  # fmt: skip
            rows += [row] if row else []
    own = {"variants": len(panel.variants)} | pairs.summarized(rows)
    own |= {"nine_tenths": sum(row["ratio"] >= _SHARE for row in rows)}
    return Measured({**values, **own}, rows, len(panel.seeds))


def judge(measured: Measured) -> Finding:
    """See `_equivalences.same_verdict`."""
    v = measured.values
    text = (
        f"{pairs.counts_text(v)} {pairs.extremes_text(measured.rows)} By the rule of 90 %, the "
        f"kernel reaches fine-tuning in {v['nine_tenths']} of {v['pairs']}. "
        f"{runs.width_text(v)}{runs.setting_text(v)}"
    )
    verdict = pairs.same_verdict(v) if runs.wide(v) else Verdict.DATA
    mended = ""
    if verdict is Verdict.REGIME:
        mended = (
            f"Shown for {pairs.listed(measured.rows, 'equivalent')}; not so for "
            f"{pairs.listed(measured.rows, 'above', 'below')}."
        )
    return Finding(verdict, text, mended, brief=f"{v['same']} of {v['pairs']} within 2 points")


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={**pairs.LABELS, "nine_tenths": "at least 90 % of fine-tuning", **runs.LABELS},
    columns={**pairs.COLUMNS, "ratio": "ratio of accuracies"},
    sample=SAMPLE,
    records=(PANEL,),
)
