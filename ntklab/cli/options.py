"""The options that commands share: one name, one meaning, one place.

What is computed are the settings of configurations (`ntklab.cli.convert`). Here is how a run is
made and what is shown of it, in groups that commands take whole.
"""

from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ntklab.cli.config_file import read_config_file
from ntklab.cli.groups import option
from ntklab.errors import unknown

FORMAT_NAMES = ("table", "json", "csv", "markdown", "latex")
BACKEND_NAMES = ("loky", "threading", "dask")
_of_run = partial(option, heading="Run")
_of_result = partial(option, heading="Result")

#: More than any machine has: a number beyond it is a slip.
MOST_THREADS = 1024


def _debug(ctx: typer.Context, value: bool) -> bool:
    ctx.meta["ntklab.debug"] = value
    return value


def check_out(value: Path | None) -> Path | None:
    """A folder that can be written, known before anything is computed."""
    if value is not None:
        from ntklab.files import check_folder

        check_folder(value)
    return value


def check_plot(value: Path | None) -> Path | None:
    """A figure that can be written, known before anything is computed."""
    if value is not None:
        from ntklab.figures import figure_path
        from ntklab.files import check_file

        check_file(figure_path(value).with_suffix(".pdf"))
    return value


def check_page(value: Path | None) -> Path | None:
    """A file that can be written, known before anything is computed."""
    if value is not None:
        from ntklab.files import check_file

        check_file(value)
    return value


Device = Annotated[
    str, option("--device NAME", "auto, cpu or cuda:0.", words=("auto", "cpu", "cuda:0"))
]
Threads = Annotated[
    int | None,
    _of_run(
        "--threads COUNT",
        "CPU threads; one unless the kernel is large, when left out.",
        min=1,
        max=MOST_THREADS,
    ),
]
Jobs = Annotated[int, _of_run("--jobs -j COUNT", "Cells at a time; -1 for one a processor.")]
Backend = Annotated[
    str, _of_run("--backend NAME", f"{', '.join(BACKEND_NAMES)}.", words=BACKEND_NAMES)
]
Scheduler = Annotated[
    str | None, _of_run("--scheduler ADDRESS", "dask's: local:4, an address, or its file.")
]
Store = Annotated[
    Path | None,
    _of_run(
        "--store FOLDER.zarr", "Keep kernels there; resumes block by block.", callback=check_out
    ),
]
DryRun = Annotated[bool, _of_run("--dry-run", "Say what would be computed and what it takes.")]

Out = Annotated[
    Path | None,
    _of_run("--out -o DIR", "Folder of the run; resumes what is there.", callback=check_out),
]
Force = Annotated[bool, _of_run("--force", "Start the folder of --out afresh.")]
Format = Annotated[
    str, _of_result("--format -f NAME", "table, json, csv, markdown or latex.", words=FORMAT_NAMES)
]
Compare = Annotated[
    bool, _of_result("--compare", "Medians over seeds with 95 % bootstrap intervals.")
]
Plot = Annotated[
    Path | None,
    _of_result(
        "--plot FILE.pdf",
        "Draw into FILE.pdf, with FILE.png and FILE.csv beside it.",
        callback=check_plot,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a run is made, and where it is kept; nothing here changes a number."""

    threads: Threads = None
    out: Out = None
    force: Force = False
    dry_run: DryRun = False

    @property
    def arguments(self) -> dict[str, Any]:
        """As `ntklab.experiments.run.run` takes them."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name != "dry_run"
        }


@dataclass(frozen=True, kw_only=True)
class RunAnywhere(Run):
    """A run of many cells, several at a time."""

    backend: Backend = "loky"
    jobs: Jobs = -1
    scheduler: Scheduler = None


@dataclass(frozen=True, kw_only=True)
class Show:
    """The form in which a record goes to stdout."""

    form: Format = "table"

    def check(self) -> None:
        """Refuse what cannot be shown, before anything is computed.

        Raises:
            InputError: an unknown format.
        """
        if self.form not in FORMAT_NAMES:
            raise unknown("format", self.form, FORMAT_NAMES)


@dataclass(frozen=True, kw_only=True)
class ShowWithPlot(Show):
    """The form in which a record goes to stdout, and into a figure."""

    plot: Plot = None


@dataclass(frozen=True, kw_only=True)
class Program:
    """Options of every command; both act when they are read, before the command begins."""

    config: Annotated[
        Path | None,
        option(
            "--config FILE.toml",
            "TOML file of options; the command line wins.",
            is_eager=True,
            callback=read_config_file,
        ),
    ] = None
    debug: Annotated[
        bool, option("--debug", "Tracebacks for errors.", is_eager=True, callback=_debug)
    ] = False
