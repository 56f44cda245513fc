"""Claims of a paper, computed and judged: a verdict sees nothing but the numbers.

    Claim -> measure(Effort) -> Measured -> judge -> Finding

A pack is a folder with the claims of one paper, a file a claim; `load_pack` finds it. `CHECKS` is
an experiment as all others are: `ntklab.experiments.run.run` measures and judges, and gives the
record of which `write_reports` makes pages. The command `ntklab check` does it.
"""

from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.claims.new import new_pack
from ntklab.claims.packs import (
    Pack,
    find_check,
    find_checks,
    load_pack,
    load_packs,
    pack_names,
    records_of,
)
from ntklab.claims.paper import Paper, Topic
from ntklab.claims.run import CHECKS, CheckConfig, check_configs, run_check

__all__ = [  # noqa: RUF022 — grouped by use
    # one check
    "Claim",
    "Effort",
    "Sample",
    "Measured",
    "Finding",
    "Verdict",
    "Check",
    # packs of them
    "Paper",
    "Topic",
    "Pack",
    "pack_names",
    "load_pack",
    "load_packs",
    "find_check",
    "find_checks",
    "records_of",
    "new_pack",
    # a run
    "CheckConfig",
    "check_configs",
    "run_check",
    "CHECKS",
]
