"""Fig. 4: the training curves of the three methods."""

from ntklab.records import Record
from paper_checks._curves import LABELS, draw_curves, judged_curves, measured_curves
from paper_checks._training import training_record
from paper_checks.harness import Check, Claim, Effort, Finding, Measured, Sample

CLAIM = Claim(
    id="fig4",
    title="The training curves of the three methods",
    words="TensorGuide's training loss falls faster, and its test accuracy rises higher, than "
    "those of LoRA and TT-LoRA.",
    confidence="M",
    assumptions=(
        "the scripts give every method its own batch, rate, schedule and base layer; in the "
        "'released' "
        "settings these differences stay, in 'matched' they are taken away",
        "a linear probe, drawn beside them, trains 1024 numbers",
    ),
    source="arXiv 2506.16456, fig. 4",
)
SAMPLE = Sample("quantum dots", by="record")
REFERENCE = "tensorguide"
#: What the claim says of each variant's accuracy, against the reference.
WANTED = {"lora": "less", "tt-lora": "less"}


def measure(effort: Effort) -> Measured:
    """Curves of the committed record of table 1."""
    return collect(training_record(effort, "pairs-table1"))


def collect(record: Record | None) -> Measured:
    """Points to draw and paired differences of the averages over the epochs."""
    return measured_curves(record, REFERENCE, WANTED, shown=("linear-probe",))


def judge(measured: Measured) -> Finding:
    """By both averages, setting by setting."""
    return judged_curves(
        measured,
        "TensorGuide",
        "It would stand if both others had the lower accuracy and the higher loss, and fall "
        "if one had the reverse in either",
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
