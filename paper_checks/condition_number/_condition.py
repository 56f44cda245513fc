"""Figures, targets, rows and the sentence that both readings of the claim share."""

from collections.abc import Mapping
from typing import Any

from ntklab.claims import Effort, Finding, Measured, Verdict
from ntklab.experiments.training.panel import Panel
from paper_checks import _panel as runs
from paper_checks import _ranking as ranking

FAMILY = "claim"
#: A smaller condition number is to mean lower loss and higher accuracy.
FIGURES: Mapping[str, tuple[str, int]] = {
    "condition_nonzero": ("condition, smallest nonzero eigenvalue", -1),
    "centred_condition": ("condition of the centred kernel", -1),
}
TARGETS: Mapping[str, tuple[str, int]] = {
    "accuracy_adam": ("test accuracy, Adam", 1),
    "accuracy_sgd": ("test accuracy, SGD", 1),
    "train_loss_adam": ("training loss, Adam", -1),
    "train_loss_sgd": ("training loss, SGD", -1),
}
_BESIDE = {name: words for name, words in ranking.OTHERS.items() if name not in FIGURES}


def collect(
    panel: Panel, values: Mapping[str, Any], effort: Effort, *, each: bool = False
) -> Measured:
    """Rows of the condition numbers, and of others beside them; `each` as `ranked` has it."""
    rows = ranking.ranked(panel, FIGURES, TARGETS, effort, family=FAMILY, each=each)
    rows += ranking.ranked(panel, _BESIDE, TARGETS, effort, family="beside", each=each)
    own = {"variants": len(panel.variants)} | ranking.summary(rows, FAMILY)
    own |= {"strong": sum(_strong(row) for row in rows if row["family"] == FAMILY)}
    return Measured({**values, **own}, rows, len(panel.seeds))


def judge(measured: Measured, over: str) -> Finding:
    """As `ranking.verdict`; what is significant but weak is not "strongly predicts"."""
    v = measured.values
    own = [row for row in measured.rows if row["family"] == FAMILY]
    text = (
        f"Over {v['variants']} {over}, {v['standing']} of {v['tests']} tests stand, {v['strong']} "
        f"of them with a correlation of at least {ranking.STRONG} in size, {v['falling']} fall; "
        f"{v['standing_without_params']} stand also without the number of parameters. "
        f"In detail: {ranking.rows_text(own)}. {ranking.power_text(v)} {runs.setting_text(v)}"
    )
    verdict = ranking.verdict(v)
    if verdict is Verdict.OK and v["strong"] < v["tests"]:
        verdict = Verdict.REGIME
    mended = ""
    if verdict is Verdict.REGIME:
        mended = f"It holds of: {ranking.standing_text(own)}."
    return Finding(verdict, text, mended, brief=ranking.brief(v))


def _strong(row: Mapping[str, Any]) -> bool:
    return row["says"] == ranking.STANDS and abs(row["rho"]) >= ranking.STRONG


LABELS = {
    **ranking.LABELS,
    "strong": f"that stand with a correlation of at least {ranking.STRONG}",
    **runs.LABELS,
}
