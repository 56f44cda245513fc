"""The claim read as one on methods: does the condition number rank them?"""

from ntklab.claims import Check, Claim, Effort, Finding, Measured
from ntklab.experiments.training.panel import PANEL
from paper_checks import _panel as runs
from paper_checks import _ranking as ranking
from paper_checks.condition_number import _condition as condition

CLAIM = Claim(
    id="across_methods",
    title="The condition number over methods",
    words="Across methods of fine-tuning, the condition number of the kernel at the start strongly "
    "predicts training loss and accuracy.",
    formula=r"\kappa(K_0) = \lambda_{\max}/\lambda_{\min}",
    confidence="L",
    assumptions=(
        "the paper varies the layers of LoRA; whether the sentence carries over is asked here",
        "the abstract speaks of the kernel's eigenvalue spectrum; that it is the condition number, "
        "and that a smaller one is better, is taken from a published summary",
        "strongly is read as a Spearman correlation of at least 0.5 in size",
        "tried on a causal model and a prompt, not on RoBERTa-base with a new head",
        "a singular kernel has no condition number: its nonzero eigenvalues are taken",
    ),
    source="arXiv 2602.08239, abstract and a published summary",
)
SAMPLE = runs.sample("a prompt task: every method of the panel")


def measure(effort: Effort) -> Measured:
    """Correlations over methods."""
    panel, values = runs.read(effort, PANEL)
    return condition.collect(panel, values, effort) if panel else runs.absent(values)


def judge(measured: Measured) -> Finding:
    """See `_condition.judge`."""
    return condition.judge(measured, "variants of methods")


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels=condition.LABELS,
    columns={"family": "family", **ranking.COLUMNS},
    sample=SAMPLE,
    records=(PANEL,),
)
