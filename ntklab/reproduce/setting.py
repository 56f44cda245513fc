"""How much `ntklab reproduce` computes, and where its results go."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ntklab.compute import resolve_device
from ntklab.experiments.manifest import MANIFEST

if TYPE_CHECKING:
    from ntklab.experiments.executors import Progress
    from ntklab.records import Record


@dataclass(frozen=True)
class Setting:
    """How much to compute, and where.

    Attributes:
        folder: of all results.
        quick: few seeds, widths and steps.
        force: start afresh instead of resuming.
        device: a word of `--device`, for the kernels; heads train on the CPU.
        note: takes a sentence for who watches.
        bar: gives a run its progress, or None where nobody watches.
    """

    folder: Path
    quick: bool
    force: bool = False
    device: str = "auto"
    note: Callable[[str], object] = lambda text: None
    bar: Callable[[], AbstractContextManager["Progress | None"]] = nullcontext

    @property
    def size(self) -> str:
        """A size of the manifest."""
        return "quick" if self.quick else "full"

    @property
    def records(self) -> Path:
        """The folder of all records."""
        return self.folder / "records"

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

        entry = MANIFEST[name]
        where = {"device": resolve_device(self.device)} if "device" in entry.options else {}
        experiment, cells = entry.plan(self.size, **where)
        out = self.records / name
        self.note(name)
        with self.bar() as progress:
            run(experiment, cells, out=out, force=self.force, jobs=jobs, progress=progress)
        return Record.read(out)
