"""What a report says, before it has a form: one section a check, and the first page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ntklab.records import Record
from paper_checks.harness.claim import Check, Finding, Measured, Verdict
from paper_checks.harness.find import find_check
from paper_checks.harness.run import VERDICT, read_back
from paper_checks.report.summary import Sentence, sentences

#: Longer tables end in a line that says how many rows the record holds beyond these.
MOST_ROWS = 24


@dataclass(frozen=True)
class Section:
    """One check in the report.

    Attributes:
        check: the claim, its labels and its figure.
        measured: the numbers.
        finding: what they say; None if the check could not run.
        failed: why it could not.
        seconds: what it took.
        on: the data that it was tried on; empty in a record from before this was kept.
    """

    check: Check
    measured: Measured
    finding: Finding | None
    failed: str | None
    seconds: float
    on: str = ""

    @property
    def seeds(self) -> str:
        """How many, of what was drawn and of training records; a dash where there are none."""
        recorded = self.measured.values.get("recorded_seeds")
        drawn = [] if self.measured.seeds is None else [str(self.measured.seeds)]
        return ", ".join([*drawn, *([f"{recorded} recorded"] if recorded else [])]) or "–"

    @property
    def tried(self) -> str:
        """A sentence: on what, at how many seeds, and why not on the paper's task; or empty."""
        if not self.on:
            return ""
        seeds = "nothing is drawn" if self.seeds == "–" else f"seeds: {self.seeds}"
        why = self.check.sample.why if self.check.sample else ""
        return f"Tried on {self.on}; {seeds}. {why}".strip()

    @property
    def verdict(self) -> str:
        """The word, or "could not run"."""
        return str(self.finding.verdict) if self.finding else "could not run"

    @property
    def values(self) -> list[tuple[str, Any]]:
        """What was measured, labelled, in the order of the check."""
        found = self.measured.values
        return [(label, found[name]) for name, label in self.check.labels.items() if name in found]

    @property
    def headings(self) -> list[str]:
        """Of the table: columns that some row fills."""
        return [self.check.columns[name] for name in self._names]

    @property
    def table(self) -> list[list[Any]]:
        """The first `MOST_ROWS` rows."""
        return [[row.get(name) for name in self._names] for row in self.measured.rows[:MOST_ROWS]]

    @property
    def left_out(self) -> int:
        """Rows that only the record holds."""
        return max(0, len(self.measured.rows) - MOST_ROWS)

    @property
    def _names(self) -> list[str]:
        rows = self.measured.rows
        return [
            name for name in self.check.columns if any(row.get(name) is not None for row in rows)
        ]


@dataclass(frozen=True)
class Page:
    """A whole report.

    Attributes:
        sections: in reading order.
        summary: the sentences of the first page.
        made: the provenance of the record.
        effort: "quick" or "full".
    """

    sections: Sequence[Section]
    summary: Sequence[Sentence]
    made: Mapping[str, Any]
    effort: str

    @property
    def counts(self) -> dict[str, int]:
        """How many checks ended with each word, in the order of `Verdict`; zeros left out."""
        words = [*map(str, Verdict), "could not run"]
        found = [section.verdict for section in self.sections]
        return {word: found.count(word) for word in words if word in found}

    @property
    def origin(self) -> str:
        """With what the numbers were made, in a sentence."""
        versions = ", ".join(f"{k} {v}" for k, v in sorted(self.made["versions"].items()))
        commit = (self.made["commit"] or "no commit")[:12]
        changed = " with changes not committed" if self.made.get("dirty") else ""
        return (
            f"Computed on {self.made['started'][:10]} by ntklab check --{self.effort} on "
            f"{self.made['device']} in float64, commit {commit}{changed}; {versions}."
        )


def page_of(record: Record) -> Page:
    """The report of a run of `ntklab check`.

    Args:
        record: its record, as `check_record` makes it.

    Raises:
        InputError: if a check of the record is no longer there.
    """
    names = [row["check"] for row in record.results if row["entry"] == VERDICT]
    sections = []
    for name in names:
        measured, finding, head = read_back(record, name)
        check = find_check(name)
        known = head["failed"], head["seconds"], head.get("tried_on") or ""
        sections.append(Section(check, measured, finding, *known))
    findings = {one.check.claim.id: one.finding for one in sections}
    return Page(sections, sentences(findings), record.provenance, record.config["effort"])
