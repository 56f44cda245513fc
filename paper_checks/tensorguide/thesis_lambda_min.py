"""The paper's central sentence, tested across methods inside a language model."""

from collections.abc import Mapping
from typing import Any

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Verdict
from ntklab.experiments.training.panel import PANEL, Panel
from paper_checks import _panel as runs
from paper_checks import _ranking as ranking

CLAIM = Claim(
    id="thesis_lambda_min",
    title="A larger smallest eigenvalue, easier training and better generalization",
    words="Of two adapters the one whose kernel has the larger smallest eigenvalue trains faster "
    "and generalizes better.",
    formula=r"\lambda_{\min}(K_1) > \lambda_{\min}(K_2) \;\Rightarrow\; \text{method } 1 \text{ "
    r"trains faster and is more accurate}",
    confidence="M",
    assumptions=(
        "the paper argues so for its own adapters; read as a rule that ranks methods",
        "which λ_min is not said: raw, over the mean eigenvalue, and of the kernel centred over "
        "samples are three tests each",
        "sizes of one method count as one in intervals and tests; that methods of one family "
        "resemble each other, no interval here knows",
    ),
    source="arXiv 2506.16456, section 3 and appendix",
)
SAMPLE = runs.sample("a prompt task: every method of the panel, fine-tuned by SGD and Adam")
FAMILY = "claim"
FIGURES: Mapping[str, tuple[str, int]] = {
    "lambda_min": ("λ_min", 1),
    "lambda_min_over_mean": ("λ_min over the mean", 1),
    "centred_lambda_min": ("λ_min of the centred kernel", 1),
}


def measure(effort: Effort) -> Measured:
    """Correlations over the methods of the panel, and those of other figures beside them."""
    panel, values = runs.read(effort, PANEL)
    return collect(panel, values, effort) if panel else runs.absent(values)


def collect(panel: Panel, values: Mapping[str, Any], effort: Effort) -> Measured:
    """Rows of the claim's figures and of the others, two families of tests."""
    rows = ranking.ranked(panel, FIGURES, ranking.TARGETS, effort, family=FAMILY)
    rows += ranking.ranked(panel, ranking.OTHERS, ranking.TARGETS, effort, family="beside")
    own = {"variants": len(panel.variants)} | ranking.summary(rows, FAMILY)
    return Measured({**values, **own}, rows, len(panel.seeds))


def judge(measured: Measured) -> Finding:
    """See `ranking.verdict`."""
    v = measured.values
    own = [row for row in measured.rows if row["family"] == FAMILY]
    text = (
        f"Over {v['variants']} variants, {v['standing']} of {v['tests']} tests of λ_min against "
        f"accuracy and speed stand and {v['falling']} fall (no strong correlation left, or no "
        f"ranking at all); {v['standing_without_params']} stand also without the number of "
        f"parameters. In detail: {ranking.rows_text(own)}. {ranking.power_text(v)} {_best(v)}"
        f"{runs.setting_text(v)}"
    )
    verdict = ranking.verdict(v)
    mended = ""
    if verdict is Verdict.REGIME:
        mended = f"Only these rank methods: {ranking.standing_text(own)}."
    return Finding(verdict, text, mended, brief=ranking.brief(v))


def _best(v: Mapping[str, Any]) -> str:
    if v["best"] is None:
        return ""
    return f"Of all figures compared, {v['best']}, ranks best ({v['best_rho']:+.2f}). "


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={**ranking.LABELS, **runs.LABELS},
    columns={"family": "family", **ranking.COLUMNS},
    sample=SAMPLE,
    records=(PANEL,),
)
