"""Fig. 4: the training curves of the three methods."""

from dataclasses import replace

from ntklab.claims import Claim
from paper_checks.tensorguide import table1
from paper_checks.tensorguide._curves import curves_check

CLAIM = Claim(
    id="fig4",
    title="The training curves of the three methods",
    words="TensorGuide's training loss falls faster, and its test accuracy rises higher, than "
    "those of LoRA and TT-LoRA.",
    confidence="M",
    assumptions=(
        "the scripts give every method its own batch, rate, schedule and base layer; in the "
        "'released' settings these differences stay, in 'matched' they are taken away",
        "a linear probe, drawn beside them, trains 1024 numbers",
    ),
    source="arXiv 2506.16456, fig. 4",
)

COMPARED = replace(
    table1.COMPARED,
    condition="It would stand if both others had the lower accuracy and the higher loss, and fall "
    "if one had the reverse in either",
)
CHECK = curves_check(CLAIM, COMPARED, shown=("linear-probe",))
