"""Fig. 5: the training curves of three widths."""

from ntklab.records import Record
from paper_checks._curves import LABELS, draw_curves, judged_curves, measured_curves
from paper_checks._training import training_record
from paper_checks.harness import Check, Claim, Effort, Finding, Measured, Sample

CLAIM = Claim(
    id="fig5",
    title="The training curves of three widths",
    words="Wider hidden layers, at almost equal parameters, make TensorGuide's training faster "
    "and more accurate.",
    confidence="M",
    assumptions=(
        "theory and table 2: widths 1024 and 2048 are one class of functions, so a difference "
        "between"
        "them is one of optimisation",
    ),
    source="arXiv 2506.16456, fig. 5",
)
SAMPLE = Sample("quantum dots", by="record")
REFERENCE = "tensorguide M=1024"
#: What the claim says of each variant's accuracy, against the reference.
WANTED = {"tensorguide M=2048": "more", "tensorguide M=4096": "more"}


def measure(effort: Effort) -> Measured:
    """Curves of the committed record of table 2."""
    return collect(training_record(effort, "pairs-table2"))


def collect(record: Record | None) -> Measured:
    """Points to draw and paired differences of the averages over the epochs."""
    return measured_curves(record, REFERENCE, WANTED, shown=())


def judge(measured: Measured) -> Finding:
    """By both averages, setting by setting."""
    return judged_curves(
        measured,
        "M = 1024",
        "It would stand if both wider heads had the higher accuracy and the lower loss, and "
        "fall if one had the reverse in either",
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
