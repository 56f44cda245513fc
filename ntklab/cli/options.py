"""The options that commands share: one name, one meaning, one place.

Options that only decide what is computed come in groups (`Data`, `Adapter`): a command takes the
group, and its configurations are made from `ctx.params`. Those that a command acts on itself, or
gives a default of its own, are taken one by one.
"""

from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ntklab.adapters.registry import METHODS
from ntklab.adapters.spec import PRESETS
from ntklab.cli.config_file import read_config_file
from ntklab.cli.groups import option
from ntklab.errors import unknown
from ntklab.jacobians.registry import ENGINES
from ntklab.tasks.registry import TASKS
from ntklab.tasks.spec import CONDITIONS

METHOD_NAMES = tuple(METHODS)
ENGINE_NAMES = ("auto", *ENGINES)
CONDITION_NAMES = CONDITIONS
TASK_NAMES = tuple(TASKS)
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


Methods = Annotated[
    list[str],
    option(
        "--method -m METHOD",
        f"{', '.join(METHOD_NAMES)}, or all; may be given several times.",
        words=(*METHOD_NAMES, "all"),
    ),
]
Samples = Annotated[int, option("--samples -n N", "Training samples N.")]
Seeds = Annotated[
    str,
    option(
        "--seeds -s SEEDS", "0:5 (0 to 4), 3 or 0,2,5: they draw starts and samples, not the data."
    ),
]


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is learned, and the frozen network that makes features of it."""

    task: Annotated[
        str, option("--task TASK", f"What is learned: {', '.join(TASK_NAMES)}.", words=TASK_NAMES)
    ] = "quantum-dot"
    data_condition: Annotated[
        str, option("--data-condition WORD", "noisy or clean.", words=CONDITION_NAMES)
    ] = "noisy"
    data: Annotated[
        Path | None,
        option("--data PATH", "Folder or .npz of images (wikitext: of text); made when left out."),
    ] = None
    images: Annotated[
        int | None, option("--images COUNT", "How many images to simulate.", min=5)
    ] = None
    data_seed: Annotated[
        int, option("--data-seed SEED", "Seed of the images and of their split.", min=0)
    ] = 0
    backbone: Annotated[
        str | None,
        option(
            "--backbone NAME",
            "resnet18, or hf:NAME for an image model; for wikitext a model's name or folder.",
        ),
    ] = None
    backbone_weights: Annotated[
        Path | None, option("--backbone-weights FILE", "File of weights; random when left out.")
    ] = None


Preset = Annotated[str, option("--preset NAME", "Start: ntk, released or paper.", words=PRESETS)]
Activation = Annotated[str | None, option("--activation NAME", "identity, relu, tanh or gelu.")]
Scale = Annotated[float | None, option("--scale NUMBER", "Factor of the adapted part.")]


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """The adapter's start and sizes: those of `ntklab.adapters.Sizes`."""

    preset: Preset = "ntk"
    width: Annotated[int | None, option("--width M", "Hidden width M of a generated head.")] = None
    rank: Annotated[
        int | None, option("--rank -r R", "Rank of LoRA, or the largest rank of a train.")
    ] = None
    tt_ranks: Annotated[
        str | None, option("--tt-ranks R0,R1,..", "All TT-ranks, e.g. 1,2,2,1,1.")
    ] = None
    in_dims: Annotated[
        str | None,
        option("--in-dims N1,N2,..", "Latent modes, e.g. 1,2,2,1."),
    ] = None
    out_dims: Annotated[
        str | None, option("--out-dims M1,M2,..", "Weight modes, e.g. 16,8,257,16.")
    ] = None
    budget: Annotated[
        int | None, option("--budget COUNT", "Most parameters; ranks follow from it.")
    ] = None
    activation: Activation = None
    scale: Scale = None


Device = Annotated[
    str, option("--device NAME", "auto, cpu or cuda:0.", words=("auto", "cpu", "cuda:0"))
]
Dtype = Annotated[
    str, option("--dtype NAME", "Of features and model.", words=("float64", "float32"))
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
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "dry_run"}


@dataclass(frozen=True, kw_only=True)
class RunAnywhere(Run):
    """A run of many cells, several at a time."""

    backend: Annotated[
        str,
        _of_run("--backend NAME", f"{', '.join(BACKEND_NAMES)}.", words=BACKEND_NAMES),
    ] = "loky"
    jobs: Jobs = -1
    scheduler: Annotated[
        str | None, _of_run("--scheduler ADDRESS", "A running dask scheduler.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Show:
    """What of a record goes to stdout."""

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
    """What of a record goes to stdout, and into a figure."""

    plot: Plot = None


@dataclass(frozen=True, kw_only=True)
class Program:
    """What every command takes; both act when they are read, before the command begins."""

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
