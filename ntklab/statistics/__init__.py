"""Figures over seeds and methods: intervals, differences, ranks, equivalence, and their tests."""

from ntklab.statistics.association import (
    Association,
    association,
    detectable_correlation,
    friedman,
    spearman,
)
from ntklab.statistics.equivalence import Equivalence, equivalence
from ntklab.statistics.seeds import (
    SIGNIFICANT,
    Interval,
    PairedDifference,
    by_seed,
    grouped,
    holm,
    mean_interval,
    median_interval,
    paired_difference,
    sign_test,
    spread,
)

__all__ = [  # noqa: RUF022 - grouped by use
    # over seeds
    "Interval",
    "mean_interval",
    "median_interval",
    "spread",
    "by_seed",
    "grouped",
    # one against another at the same seeds
    "PairedDifference",
    "paired_difference",
    "sign_test",
    "Equivalence",
    "equivalence",
    "friedman",
    # over methods
    "Association",
    "association",
    "spearman",
    "detectable_correlation",
    # families of tests
    "holm",
    "SIGNIFICANT",
]
