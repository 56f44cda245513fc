"""Options and runs that the commands of training share."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.convert import Settings
from ntklab.cli.groups import option
from ntklab.experiments.training.heads.config import DENSE_HEAD, PairConfig

if TYPE_CHECKING:
    from ntklab.experiments.run import Experiment
    from ntklab.records import Record

Threads = Annotated[
    int | None,
    option(
        "--threads COUNT",
        "CPU threads; one when left out, for wikitext torch's own number.",
        heading="Run",
        min=1,
        max=opt.MOST_THREADS,
    ),
]


Markdown = Annotated[
    Path | None,
    option(
        "--markdown FILE.md",
        "Write the table with its sentences there.",
        heading="Result",
        callback=opt.check_page,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Run(opt.Run):
    """How a training run is made, and where it is kept."""

    threads: Threads = None


@dataclass(frozen=True, kw_only=True)
class RunAnywhere(opt.RunAnywhere):
    """Training runs, several at a time where asked."""

    threads: Threads = None
    jobs: opt.Jobs = 1


def settings(
    axes: tuple[str, ...],
    without: tuple[str, ...],
    defaults: Mapping[str, Any],
    **more: Any,
) -> Settings:
    """The options of a command that trains heads, among them the dense head."""
    words = {"method": (DENSE_HEAD,), **more}
    return Settings(PairConfig, axes=axes, without=without, defaults=defaults, words=words)


def run_pairs(
    experiment: "Experiment[PairConfig]", configs: Sequence[PairConfig], how: opt.Run
) -> "Record":
    """The record of training runs, with a note on each that diverged.

    One thread unless told otherwise: heads are small, and more threads cost more than they give.

    Raises:
        InputError: if the folder holds another run.
        KeyboardInterrupt: finished cells and the run in hand stay on disk.
    """
    record = console.run(experiment, configs, how)
    for row in record.results:
        if row["diverged"]:
            console.note(f"{row['variant']}, seed {row['seed']}: {row['reason']}")
    return record


def one_blas_thread() -> None:
    """Ask numpy for one thread, if it is not loaded yet: its products here are small.

    torch is told by `torch_threads`, but numpy's BLAS reads its number from the environment.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
