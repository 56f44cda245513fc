"""How much `ntklab reproduce` computes, and where its results go."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntklab.compute import resolve_device
from ntklab.experiments.manifest import MANIFEST, sized
from ntklab.experiments.planned import Planned
from ntklab.reproduce.progress import Steps, Watch, seconds_of

if TYPE_CHECKING:
    from ntklab.records import Record

#: Records of the manifest that a size does not make: tables 2 and 5 and whole networks take more
#: than the minutes of the quick form; language models need a model and texts or sentences.
LEFT_OUT = {
    "quick": ("pairs-table2", "pairs-table5", "released-end-to-end", "prompt-panel"),
    "full": ("table3", "prompt-panel"),
}


@dataclass(frozen=True)
class Setting:
    """How much to compute, and where.

    Attributes:
        folder: of all results.
        quick: few seeds, widths and steps.
        force: start afresh instead of resuming.
        device: a word of `--device`, for the kernels; heads train on the CPU.
        watch: is told how far all records together are; None where nobody watches.
    """

    folder: Path
    quick: bool
    force: bool = False
    device: str = "auto"
    watch: Watch | None = field(default=None, compare=False)

    @property
    def size(self) -> str:
        """A size of the manifest."""
        return "quick" if self.quick else "full"

    @property
    def records(self) -> Path:
        """The folder of all records."""
        return self.folder / "records"

    def names(self, *planners: str) -> list[str]:
        """The records that this size makes, in the order of the manifest.

        Args:
            planners: those of these planners alone; all if none is named.
        """
        made = [one for one in sized(self.size) if one.record not in LEFT_OUT[self.size]]
        return [one.record for one in made if not planners or one.planner in planners]

    def make(self, name: str, *, jobs: int = 1) -> "Record":
        """Compute a record of the manifest, and return it as it stands on disk.

        Args:
            name: of the record.
            jobs: cells at a time; −1 for one a processor.

        Raises:
            InputError: for what the folder or the device refuses.
        """
        from ntklab.experiments.run import run
        from ntklab.records import Record

        experiment, cells = self._plan(name)
        progress = self._steps.of(name) if self._steps is not None else None
        out = self.records / name
        run(experiment, cells, out=out, force=self.force, jobs=jobs, progress=progress)
        return Record.read(out)

    def plan(self) -> list[dict[str, Any]]:
        """A row for each record that would be made; nothing is computed or written.

        Returns:
            Rows of the record's name, its cells (all, also those that the folder holds), the
            minutes that they take on one core, roughly, and the command that makes it by itself.

        Example:
            >>> rows = Setting(Path("out"), quick=True).plan()
            >>> rows[0]["record"], rows[0]["cells"]
            ('spectrum-ntk', 60)
        """
        rows = []
        for name, (planner, cells) in self._sizes.items():
            line = f"{MANIFEST[name].line(self.size)} --out {self.records / name}"
            minutes = f"{seconds_of(planner, cells) / 60:.1f}"
            rows.append({"record": name, "cells": cells, "minutes": minutes, "command": line})
        return rows

    def _plan(self, name: str) -> Planned:
        entry = MANIFEST[name]
        where: dict[str, Any] = {}
        if "device" in entry.options:
            where = {"device": resolve_device(self.device)}
        return entry.plan(self.size, **where)

    @cached_property
    def _steps(self) -> Steps | None:
        if self.watch is None:
            return None
        return Steps(self._sizes, self.watch)

    @property
    def _sizes(self) -> dict[str, tuple[str, int]]:
        """Record → planner and number of its cells, of all that will be made."""
        names = self.names()
        return {name: (MANIFEST[name].planner, len(self._plan(name)[1])) for name in names}
