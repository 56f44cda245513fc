"""Eq. 16: the linearization again, where generalization rests on it."""

from functools import cache
from typing import TYPE_CHECKING

from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured
from paper_checks.tensorguide.eq14 import CHECK as EQ14
from paper_checks.tensorguide.eq14 import NEW, SAMPLE, drawn, judged, measured_of
from paper_checks.tensorguide.eq14 import measure as measure_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq16",
    title="The linearization on new samples",
    words="The trained model lies in the ball of functions that are linear in the parameters "
    "around the start, to which the generalization bounds apply: the expansion holds on new "
    "samples too.",
    formula=EQ14.claim.formula,
    assumptions=EQ14.claim.assumptions,
    source="arXiv 2506.16456, eq. 16",
)


@cache
def measure(effort: Effort) -> Measured:
    """The runs of eq 14, by what the expansion misses on samples that were not trained on."""
    return measured_of(measure_runs(effort).rows, NEW)


def judge(measured: Measured) -> Finding:
    """As for eq 14, on new samples."""
    return judged(measured.values, "the outputs on new samples")


def draw(measured: Measured) -> "Figure":
    """The share missed at the end of each run on new samples."""
    return drawn(measured.rows, NEW, "at the end, new samples")


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels=EQ14.labels,
    columns=EQ14.columns,
    draw=draw,
    caption="Share of the movement of the outputs on new samples that the first-order expansion "
    "misses at the end of a run, against the lazy index at its start: medians over seeds, bars "
    "from quartile to quartile.",
    sample=SAMPLE,
    shares="eq14",
)
