"""Fig. 5: the training curves of three widths."""

from dataclasses import replace

from ntklab.claims import Claim
from paper_checks.tensorguide import table2
from paper_checks.tensorguide._curves import curves_check

CLAIM = Claim(
    id="fig5",
    title="The training curves of three widths",
    words="Wider hidden layers, at almost equal parameters, make TensorGuide's training faster "
    "and more accurate.",
    confidence="M",
    assumptions=(
        "theory and table 2: widths 1024 and 2048 are one class of functions, so a difference "
        "between them is one of optimisation",
    ),
    source="arXiv 2506.16456, fig. 5",
)

COMPARED = replace(
    table2.COMPARED,
    condition="It would stand if both wider heads had the higher accuracy and the lower loss, and "
    "fall if one had the reverse in either",
)
CHECK = curves_check(CLAIM, COMPARED)
