"""Fig. 6: the training curves of TT-ranks."""

from ntklab.records import Record
from ntklab.sweeps.variants import RANKS
from paper_checks._curves import LABELS, draw_curves, judged_curves, measured_curves
from paper_checks._training import training_record
from paper_checks.harness import Check, Claim, Effort, Finding, Measured, Sample
from paper_checks.table5 import wanted

CLAIM = Claim(
    id="fig6",
    title="The training curves of TT-ranks",
    words="Larger TT-ranks make TensorGuide's training faster and more accurate.",
    confidence="M",
    assumptions=("which TT-ranks the figure shows did not reach us: those of table 5 are drawn",),
    source="arXiv 2506.16456, fig. 6",
)
SAMPLE = Sample("quantum dots", by="record")
REFERENCE = "tensorguide M=1024 ranks=1,2,2,1,1"
#: What the claim says of each variant's accuracy, against the reference.
WANTED = wanted(RANKS)


def measure(effort: Effort) -> Measured:
    """Curves of the committed record of table 5."""
    return collect(training_record(effort, "pairs-table5"))


def collect(record: Record | None) -> Measured:
    """Points to draw and paired differences of the averages over the epochs."""
    return measured_curves(record, REFERENCE, WANTED, shown=())


def judge(measured: Measured) -> Finding:
    """By both averages, setting by setting."""
    return judged_curves(
        measured,
        "ranks 2, 2, 1",
        "It would stand if all larger ranks had the higher accuracy and the lower loss and "
        "ranks 1, 1, 1 the reverse, and fall if one said the opposite in either",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels=LABELS,
    draw=draw_curves,
    caption="Means over seeds and 95 % bootstrap intervals of the mean, from the committed "
    "training record: frozen features of simulated quantum-dot images, one test split. Losses "
    "above 1, in the first steps of some runs, are cut off.",
    sample=SAMPLE,
)
