"""The concepts: a claim is measured with some effort, and what was measured is judged.

    Claim → measure(Effort) → Measured → judge → Finding

`judge` sees nothing but the numbers, so a verdict cannot know which one is expected of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ntklab.errors import InputError
from ntklab.experiments.manifest import gpu_record
from ntklab.records import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# str, int, float, bool or None; Any, because `judge` knows which one each name holds
Scalar = Any


class Verdict(StrEnum):
    """The word that the numbers give a claim."""

    OK = "OK"
    MEND = "MEND"
    VACUOUS = "VACUOUS"
    FALSE = "FALSE"
    REGIME = "REGIME"
    DATA = "DATA"

    @property
    def meaning(self) -> str:
        """In words."""
        return _MEANINGS[self]


_MEANINGS = {
    Verdict.OK: "true as stated",
    Verdict.MEND: "true after a stated repair",
    Verdict.VACUOUS: "true, but says nothing",
    Verdict.FALSE: "a counterexample was computed",
    Verdict.REGIME: "decided by a condition that the paper does not state",
    Verdict.DATA: "decided by training runs: statistics below",
}


@dataclass(frozen=True)
class Claim:
    """A statement of a paper, as far as it could be reconstructed.

    Attributes:
        id: the name of its file, e.g. "eq13".
        title: a few words.
        words: the claim in one or two plain sentences.
        formula: the same in LaTeX mathematics; empty where there is none.
        confidence: of the reconstruction: H(igh), M(edium), L(ow).
        assumptions: what it needs, stated by the paper or not.
        source: where, e.g. "arXiv 2506.16456, eq. 13".
    """

    id: str
    title: str
    words: str
    formula: str = ""
    confidence: Literal["H", "M", "L"] = "H"
    assumptions: tuple[str, ...] = ()
    source: str = "arXiv 2506.16456"


@dataclass(frozen=True)
class Effort:
    """How much is computed, and from which training records.

    Attributes:
        full: 30 seeds and the real tasks, as each check's `Sample` says; else seconds a check.
        records: the folder of training records, or None where there is none.
        gpu: whether records are those of a GPU: one statistic never holds both.

    Example:
        >>> len(Effort().seeds), len(Effort(full=True).seeds)
        (5, 30)
        >>> Effort().record("pairs-table1") is None
        True
    """

    full: bool = False
    records: Path | None = None
    gpu: bool = False

    @property
    def name(self) -> str:
        """The word for it in options and records."""
        return "full" if self.full else "quick"

    @property
    def seeds(self) -> range:
        """Seeds of a check that draws anything; see `Sample` for fewer when quick."""
        return range(30 if self.full else 5)

    @property
    def samples(self) -> int:
        """Samples of the quantum-dot task, where a check needs no special number."""
        return 512 if self.full else 128

    def has_record(self, name: str) -> bool:
        """Whether a training record of that name lies in the folder."""
        return self.record(name) is not None if self.gpu else self._place(name) is not None

    def record(self, name: str) -> Record | None:
        """The training record of that name, or None where there is none.

        With `gpu` it is what `ntklab gpu-records` has made in its place; a trial of that command
        on a CPU does not count.

        Raises:
            InputError: for a damaged record.
        """
        place = self._place(gpu_record(name) if self.gpu else name)
        record = None if place is None else Record.read(place)
        trial = self.gpu and record is not None and record.provenance.get("device") == "cpu"
        return None if trial else record

    def _place(self, name: str) -> Path | None:
        """The folder of a record, where it is there."""
        place = None if self.records is None else self.records / name
        return place if place is not None and (place / "record.json").is_file() else None


@dataclass(frozen=True)
class Sample:
    """The data of a check and its number of seeds: stated once, used by `measure`, held by the run.

    Attributes:
        on: the data at full effort, in a few words for the report.
        on_quick: the same at quick effort; as in full if empty.
        by: what is repeated. "seed": everything drawn, once a seed. "record": training runs, at
            the seeds of a committed record. "nothing": counts, exact arithmetic and times.
        quick: how many seeds do at quick effort.
        why: a sentence, where the paper's own task would be the wrong place.

    Example:
        >>> sample = Sample("quantum dots", quick=2)
        >>> len(sample.seeds(Effort())), len(sample.seeds(Effort(full=True)))
        (2, 30)
    """

    on: str
    on_quick: str = ""
    by: Literal["seed", "record", "nothing"] = "seed"
    quick: int = 5
    why: str = ""

    def seeds(self, effort: Effort) -> range:
        """The seeds that `measure` draws with; nothing else may cut it short at full effort."""
        if self.by != "seed":
            return range(0)
        return effort.seeds if effort.full else range(self.quick)

    def words(self, effort: Effort) -> str:
        """The data at this effort."""
        return self.on if effort.full else self.on_quick or self.on


@dataclass(frozen=True)
class Measured:
    """The numbers of a check: single values, and rows that form one table.

    Attributes:
        values: name → number, word or None.
        rows: flat, all of one kind.
        seeds: how many the least supported number rests on, counted from what was run; None if
            nothing was drawn.

    Raises:
        InputError: for a value that is not flat.

    Example:
        >>> Measured({"slope": -0.5}, [{"M": 64, "error": 0.2}]).column("error")
        [0.2]
    """

    values: Mapping[str, Scalar] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Scalar]] = ()
    seeds: int | None = None

    def __post_init__(self) -> None:
        for row in (self.values, *self.rows):
            for name, value in row.items():
                if not isinstance(value, str | int | float | bool | None):
                    raise InputError(f"{name} is a {type(value).__name__}, but must be a scalar.")

    def column(self, name: str, **where: Scalar) -> list[Any]:
        """One field of the rows that agree with `where`."""
        return [
            row[name]
            for row in self.rows
            if all(row.get(key) == wanted for key, wanted in where.items())
        ]


@dataclass(frozen=True)
class Finding:
    """A verdict with its reason.

    Attributes:
        verdict: one of six words.
        because: one or two sentences that quote the numbers which decided.
        mended: the statement that does hold, in words; empty if the claim needs no repair.
        formula: the mended statement in LaTeX; empty where there is none.
        brief: the reason in one short clause, for a summary; `because` to its first full stop if
            empty.
    """

    verdict: Verdict
    because: str
    mended: str = ""
    formula: str = ""
    brief: str = ""


@dataclass(frozen=True)
class Check:
    """A claim with the functions that decide it.

    Attributes:
        claim: what is said.
        measure: computes the numbers, over public functions of ntklab only.
        judge: from numbers to verdict; pure.
        labels: name of a value → what it is, with its unit, in the order of the report.
        columns: field of a row → heading, in the order of the report.
        draw: a figure of the numbers, or None.
        caption: of that figure.
        sample: on what it is tried, and how often.
        shares: the check whose runs this one judges too; both are run in one process, so that
            what it caches is computed once.
        records: names of the training records that the verdict rests on. Where one is absent the
            claim is measured, but not judged.
    """

    claim: Claim
    measure: Callable[[Effort], Measured]
    judge: Callable[[Measured], Finding]
    labels: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    draw: "Callable[[Measured], Figure] | None" = None
    caption: str = ""
    sample: Sample | None = None
    shares: str = ""
    records: tuple[str, ...] = ()
