"""The content of a report before it has a form: a section a claim, a page a pack, and an index."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ntklab.claims.claim import Check, Finding, Measured, Verdict
from ntklab.claims.packs import Pack, find_check, load_packs
from ntklab.claims.report.summary import Sentence, sentences
from ntklab.claims.run import VERDICT, gpu_sentence, read_back
from ntklab.records import Record

ABSENT, FAILED = "DATA absent", "could not run"
#: What can stand beside a claim: the verdicts, then why there is none.
WORDS = (*map(str, Verdict), ABSENT, FAILED)
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
        absent: the training records that it could not be judged without; mostly empty.
        on_gpu: device and verdict of the same claim on records of a GPU; mostly empty.
    """

    check: Check
    measured: Measured
    finding: Finding | None
    failed: str | None
    seconds: float
    on: str = ""
    absent: str = ""
    on_gpu: str = ""

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
        """One of `WORDS`."""
        if self.finding is None:
            return FAILED
        return ABSENT if self.absent else str(self.finding.verdict)

    @property
    def values(self) -> list[tuple[str, Any]]:
        """The measured values with their labels, in the order of the check."""
        known = self.measured.values
        return [(label, known[name]) for name, label in self.check.labels.items() if name in known]

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
        record: where the numbers come from, without those of other packs.
    """

    pack: Pack
    sections: Sequence[Section]
    summary: Sequence[Sentence]
    record: Record

    @property
    def effort(self) -> str:
        """The effort: "quick" or "full"."""
        return str(self.record.config["effort"])

    @property
    def counts(self) -> dict[str, int]:
        """How many checks ended with each word, in the order of `WORDS`; zeros left out."""
        given = [section.verdict for section in self.sections]
        return {word: given.count(word) for word in WORDS if word in given}

    @property
    def origin(self) -> str:
        """With what the numbers were made, in a sentence."""
        made = self.record.provenance
        versions = ", ".join(f"{k} {v}" for k, v in sorted(made["versions"].items()))
        commit = (made["commit"] or "no commit")[:12]
        changed = " with changes not committed" if made.get("dirty") else ""
        return (
            f"Computed on {self.date} by ntklab check --{self.effort} on "
            f"{made['device']} in float64, commit {commit}{changed}; {versions}."
        )

    @property
    def date(self) -> str:
        """The day on which the numbers were made."""
        return str(self.record.provenance["started"][:10])


@dataclass(frozen=True)
class Report:
    """The pages of one or more runs.

    Attributes:
        pages: one a pack.
    """

    pages: Sequence[Page]

    @property
    def words(self) -> list[str]:
        """The outcomes that some claim has, in the order of `WORDS`."""
        return [word for word in WORDS if any(word in page.counts for page in self.pages)]


def report_of(*records: Record, packs: Sequence[Pack] | None = None) -> Report:
    """The report of runs of `ntklab check`.

    Args:
        records: as `record_of` makes them; of a pack that several hold, the last one counts.
        packs: whose claims they hold; the project's if None.

    Raises:
        InputError: if a claim of a record is no longer there.
    """
    packs = load_packs() if packs is None else packs
    pages = {page.pack.name: page for record in records for page in _pages(record, packs)}
    return Report([pages[pack.name] for pack in packs if pack.name in pages])


def _pages(record: Record, packs: Sequence[Pack]) -> list[Page]:
    sections: dict[str, list[Section]] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    known_checks = {
        row["check"]: find_check(row["check"], packs)
        for row in record.results
        if row["entry"] == VERDICT
    }
    for row in record.results:
        pack, check = known_checks[row["check"]]
        rows.setdefault(pack.name, []).append(row)
        if row["entry"] == VERDICT:
            measured, finding, head = read_back(record, row["check"])
            known = head["failed"], head["seconds"], head.get("tried_on") or ""
            absent, on_gpu = head.get("absent") or "", gpu_sentence(head)
            section = Section(check, measured, finding, *known, absent, on_gpu)
            sections.setdefault(pack.name, []).append(section)
    return [
        Page(
            pack,
            sections[pack.name],
            _summary(pack, sections[pack.name]),
            _part(record, rows[pack.name]),
        )
        for pack in packs
        if pack.name in sections
    ]


def _part(record: Record, rows: list[dict[str, Any]]) -> Record:
    """The record with these rows alone."""
    checks = [row["check"] for row in rows if row["entry"] == VERDICT]
    return replace(record, config={**record.config, "checks": checks}, results=rows)


def _summary(pack: Pack, sections: Sequence[Section]) -> list[Sentence]:
    return sentences(
        {section.check.claim.id: section.finding for section in sections}, pack.paper.topics
    )
