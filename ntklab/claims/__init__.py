"""Claims of a paper, computed and judged: a verdict sees nothing but the numbers.

    Claim -> measure(Effort) -> Measured -> judge -> Finding

A pack is a folder with the claims of one paper, a file a claim; `load_pack` finds it. `run_checks`
measures and judges, `record_of` keeps what came out, `write_reports` makes pages of it. The command
`ntklab check` does all three.
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
from ntklab.claims.run import CheckConfig, check_configs, record_of, run_check, run_checks

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
    "run_checks",
    "record_of",
]
