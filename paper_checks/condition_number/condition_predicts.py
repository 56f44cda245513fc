"""The claim in its own setting: LoRA, the choice of layers varied."""

from ntklab.claims import Check, Claim, Effort, Finding, Measured
from ntklab.experiments.training.panel import LAYERS
from paper_checks import _panel as runs
from paper_checks import _ranking as ranking
from paper_checks.condition_number import _condition as condition

CLAIM = Claim(
    id="condition_predicts",
    title="The condition number over choices of layers",
    words="For LoRA on different choices of layers, the condition number of the kernel at the "
    "start strongly predicts training loss and accuracy.",
    formula=r"\kappa(K_0) = \lambda_{\max}/\lambda_{\min}",
    confidence="M",
    assumptions=(
        "the abstract speaks of the kernel's eigenvalue spectrum; that it is the condition number, "
        "and that a smaller one is better, is taken from a published summary",
        "strongly is read as a Spearman correlation of at least 0.5 in size",
        "tried on a causal model and a prompt, not on RoBERTa-base with a new head",
        "a singular kernel has no condition number: its nonzero eigenvalues are taken",
    ),
    source="arXiv 2602.08239, abstract and a published summary",
)
SAMPLE = runs.sample("a prompt task: LoRA on different choices of layers")


def measure(effort: Effort) -> Measured:
    """Correlations over choices of layers."""
    panel, values = runs.read(effort, LAYERS)
    if panel is None:
        return runs.absent(values)
    return condition.collect(panel, values, effort, each=True)  # a choice of layers is a case


def judge(measured: Measured) -> Finding:
    """See `_condition.judge`."""
    return condition.judge(measured, "choices of layers")


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels=condition.LABELS,
    columns={"family": "family", **ranking.COLUMNS},
    sample=SAMPLE,
    records=(LAYERS,),
)
