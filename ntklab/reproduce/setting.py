"""How much `ntklab reproduce` computes, and where its results go."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ntklab.compute import resolve_device
from ntklab.configuration import Configuration

if TYPE_CHECKING:
    from ntklab.experiments.executors import Progress
    from ntklab.experiments.run import Experiment
    from ntklab.records import Record

C = TypeVar("C", bound=Configuration)


@dataclass(frozen=True)
class Size:
    """How many samples and images, seeds of spectra and of training runs, and which widths."""

    samples: int
    seeds: Sequence[int]
    training_seeds: Sequence[int]
    widths: Sequence[int]
    images: int | None = None


QUICK = Size(256, range(5), range(3), (64, 256, 1024))
FULL = Size(512, range(30), range(30), (64, 256, 1024, 4096), images=1000)


@dataclass(frozen=True)
class Setting:
    """How much to compute, and where.

    Attributes:
        folder: of all results.
        quick: few seeds and samples.
        force: start afresh instead of resuming.
        device: a word of `--device`.
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
    def size(self) -> Size:
        """How much is computed: a spectrum takes about 0.1 s in the quick form."""
        return QUICK if self.quick else FULL

    @property
    def given(self) -> dict[str, Any]:
        """Settings of everything that is computed on images."""
        given = {"samples": self.size.samples, "images": self.size.images}
        return {**given, "device": resolve_device(self.device)}

    def run(
        self, name: str, experiment: "Experiment[C]", cells: Sequence[C], *, jobs: int = 1
    ) -> "Record":
        """The record of this name in the folder, as it stands on disk."""
        from ntklab.experiments.run import run
        from ntklab.records import Record

        out = self.folder / "records" / name
        with self.bar() as progress:
            run(experiment, cells, out=out, force=self.force, jobs=jobs, progress=progress)
        return Record.read(out)
