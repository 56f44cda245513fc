"""What a report says, before it has a form: a section a claim, a page a pack, and an index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ntklab.claims.claim import Check, Finding, Measured, Verdict
from ntklab.claims.packs import Pack, find_check, load_packs
from ntklab.claims.report.summary import Sentence, sentences
from ntklab.claims.run import VERDICT, read_back
from ntklab.records import Record

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
    """The report of one pack.

    Attributes:
        pack: whose claims these are.
        sections: in reading order.
        summary: the sentences of its head.
    """

    pack: Pack
    sections: Sequence[Section]
    summary: Sequence[Sentence]

    @property
    def counts(self) -> dict[str, int]:
        """How many checks ended with each word, in the order of `Verdict`; zeros left out."""
        words = [*map(str, Verdict), "could not run"]
        given = [section.verdict for section in self.sections]
        return {word: given.count(word) for word in words if word in given}


@dataclass(frozen=True)
class Report:
    """The pages of a run.

    Attributes:
        pages: one a pack.
        made: the provenance of the record.
        effort: "quick" or "full".
    """

    pages: Sequence[Page]
    made: Mapping[str, Any]
    effort: str

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


def report_of(record: Record, packs: Sequence[Pack] | None = None) -> Report:
    """The report of a run of `ntklab check`.

    Args:
        record: its record, as `record_of` makes it.
        packs: whose claims it holds; the project's if None.

    Raises:
        InputError: if a claim of the record is no longer there.
    """
    packs = load_packs() if packs is None else packs
    sections: dict[str, list[Section]] = {}
    for row in record.results:
        if row["entry"] == VERDICT:
            pack, check = find_check(row["check"], packs)
            measured, finding, head = read_back(record, row["check"])
            known = head["failed"], head["seconds"], head.get("tried_on") or ""
            section = Section(check, measured, finding, *known)
            sections.setdefault(pack.name, []).append(section)
    pages = [
        Page(pack, sections[pack.name], _summary(pack, sections[pack.name]))
        for pack in packs
        if pack.name in sections
    ]
    return Report(pages, record.provenance, record.config["effort"])


def _summary(pack: Pack, sections: Sequence[Section]) -> list[Sentence]:
    return sentences({one.check.claim.id: one.finding for one in sections}, pack.paper.topics)
