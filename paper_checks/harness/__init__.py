"""What a check is, how checks are found, and how they are run."""

from paper_checks.harness.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from paper_checks.harness.find import check_names, committed_records, find_check, find_checks
from paper_checks.harness.run import CheckConfig, check_record, run_check, run_checks

__all__ = [  # noqa: RUF022 — grouped by use
    # one check
    "Claim",
    "Effort",
    "Sample",
    "Measured",
    "Finding",
    "Verdict",
    "Check",
    # all of them
    "check_names",
    "find_check",
    "find_checks",
    "committed_records",
    # a run
    "CheckConfig",
    "run_check",
    "run_checks",
    "check_record",
]
