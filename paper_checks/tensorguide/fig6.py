"""Fig. 6: the training curves of TT-ranks."""

from dataclasses import replace

from ntklab.claims import Claim
from paper_checks.tensorguide import table5
from paper_checks.tensorguide._curves import curves_check

CLAIM = Claim(
    id="fig6",
    title="The training curves of TT-ranks",
    words="Larger TT-ranks make TensorGuide's training faster and more accurate.",
    confidence="M",
    assumptions=("which TT-ranks the figure shows did not reach us: those of table 5 are drawn",),
    source="arXiv 2506.16456, fig. 6",
)

COMPARED = replace(
    table5.COMPARED,
    against="ranks 2, 2, 1",
    condition="It would stand if all larger ranks had the higher accuracy and the lower loss and "
    "ranks 1, 1, 1 the reverse, and fall if one said the opposite in either",
)
CHECK = curves_check(CLAIM, COMPARED)
