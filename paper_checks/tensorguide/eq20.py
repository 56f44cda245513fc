"""Eq. 20: the generalization bound, stated again where it is derived."""

from ntklab.claims.claim import Check, Claim
from paper_checks.tensorguide.eq15 import CHECK as EQ15
from paper_checks.tensorguide.eq15 import SAMPLE, draw, judge, measure

CLAIM = Claim(
    id="eq20",
    title="The generalization bound, derived",
    words="Symmetrization and the contraction of the loss give, with probability at least 1 − δ, "
    "the training risk plus twice the Lipschitz constant times the empirical complexity plus a "
    "deviation as a bound on the risk.",
    formula=EQ15.claim.formula,
    assumptions=(
        *EQ15.claim.assumptions,
        "the factor 3 and log(2/δ) belong to the empirical complexity; the expected one has 1 and "
        "log(1/δ) (Mohri, Rostamizadeh and Talwalkar 2018, Theorem 3.3)",
    ),
    source="arXiv 2506.16456, eq. 20",
)

CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels=EQ15.labels,
    columns=EQ15.columns,
    draw=draw,
    caption=EQ15.caption,
    sample=SAMPLE,
    shares="eq15",
)
