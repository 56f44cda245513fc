"""The options that commands share: one name, one meaning, one place."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ntklab.cli.config_file import read_config_file

# Written out because loading the registry loads torch; a test compares the two.
METHOD_NAMES = ("lora", "tt-lora", "tensorguide", "tt-delta", "tera", "linear-probe")
PRESET_NAMES = ("ntk", "released", "paper")
ENGINE_NAMES = ("auto", "structured", "jacrev", "vjp-jvp", "loop")
CONDITION_NAMES = ("noisy", "clean", "both")
TASK_NAMES = ("quantum-dot", "synthetic", "wikitext")
FORMAT_NAMES = ("table", "json", "csv")
BACKEND_NAMES = ("loky", "threading", "dask")


def _words(names: tuple[str, ...]) -> Any:
    """Completion from a list of names."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


def _debug(ctx: typer.Context, value: bool) -> bool:
    ctx.meta["ntklab.debug"] = value
    return value


def _option(*names: str, words: tuple[str, ...] = (), **extra: Any) -> Any:
    if words:
        extra["autocompletion"] = _words(words)
    return typer.Option(*names, **extra)


Methods = Annotated[
    list[str],
    _option(
        "--method",
        "-m",
        metavar="METHOD",
        words=(*METHOD_NAMES, "all"),
        help=f"{', '.join(METHOD_NAMES)}, or all; may be given several times.",
    ),
]
Task = Annotated[
    str,
    _option(
        "--task",
        metavar="TASK",
        words=TASK_NAMES,
        help=f"What is learned: {', '.join(TASK_NAMES)}.",
    ),
]
DataCondition = Annotated[
    str,
    _option(
        "--data-condition", metavar="WORD", words=CONDITION_NAMES, help="noisy, clean or both."
    ),
]
Data = Annotated[
    Path | None,
    _option(
        "--data",
        metavar="PATH",
        help="Folder or .npz of images (wikitext: of text); made when left out.",
    ),
]
Images = Annotated[
    int | None, _option("--images", metavar="COUNT", help="How many images to simulate.", min=5)
]
DataSeed = Annotated[
    int,
    _option("--data-seed", metavar="SEED", help="Seed of the images and of their split.", min=0),
]
Backbone = Annotated[
    str | None,
    _option(
        "--backbone",
        metavar="NAME",
        help="resnet18, or hf:NAME for an image model; for wikitext a model's name or folder.",
    ),
]
BackboneWeights = Annotated[
    Path | None,
    _option("--backbone-weights", metavar="FILE", help="File of weights; random when left out."),
]
Samples = Annotated[int, _option("--samples", "-n", metavar="N", help="Training samples N.")]

Preset = Annotated[
    str,
    _option("--preset", metavar="NAME", words=PRESET_NAMES, help="Start: ntk, released or paper."),
]
Width = Annotated[
    int | None, _option("--width", metavar="M", help="Hidden width M of a generated head.")
]
Rank = Annotated[
    int | None,
    _option("--rank", "-r", metavar="R", help="Rank of LoRA, or the largest rank of a train."),
]
TTRanks = Annotated[
    str | None, _option("--tt-ranks", metavar="R0,R1,..", help="All TT-ranks, e.g. 1,2,2,1,1.")
]
Widths = Annotated[
    str | None,
    _option("--width", metavar="M,M,..", help="Widths: 64,256 or 64:4096 (in steps of 4 times)."),
]
ManyTTRanks = Annotated[
    list[str],
    _option("--tt-ranks", metavar="R0,R1,..", help="TT-ranks, e.g. 1,2,2,1,1; several times."),
]
InDims = Annotated[
    str | None, _option("--in-dims", metavar="N1,N2,..", help="Latent modes, e.g. 1,2,2,1.")
]
OutDims = Annotated[
    str | None, _option("--out-dims", metavar="M1,M2,..", help="Weight modes, e.g. 16,8,257,16.")
]
Budget = Annotated[
    int | None, _option("--budget", metavar="COUNT", help="Most parameters; ranks follow from it.")
]
Activation = Annotated[
    str | None,
    _option("--activation", metavar="NAME", help="identity, relu, tanh or gelu."),
]
Scale = Annotated[
    float | None, _option("--scale", metavar="NUMBER", help="Factor of the adapted part.")
]

Seeds = Annotated[
    str,
    _option(
        "--seeds",
        "-s",
        metavar="SEEDS",
        help="0:5 (0 to 4), 3 or 0,2,5: they draw starts and samples, not the data.",
    ),
]
EngineName = Annotated[
    str,
    _option("--engine", metavar="NAME", words=ENGINE_NAMES, help=f"{', '.join(ENGINE_NAMES)}."),
]
Centred = Annotated[
    bool, _option("--centred", help="The kernel that softmax sees, of size N(C-1).")
]
PerCore = Annotated[
    bool, _option("--per-core", help="Also a row for the kernel of every core, K = sum of K_k.")
]
Device = Annotated[
    str,
    _option(
        "--device", metavar="NAME", words=("auto", "cpu", "cuda:0"), help="auto, cpu or cuda:0."
    ),
]
Dtype = Annotated[
    str,
    _option("--dtype", metavar="NAME", words=("float64", "float32"), help="Of features and model."),
]
Memory = Annotated[
    str | None,
    _option(
        "--memory", metavar="AMOUNT", help="Most memory, e.g. 4GiB; a share of what is free if not."
    ),
]
Threads = Annotated[
    int | None,
    _option(
        "--threads",
        metavar="COUNT",
        help="CPU threads; one unless the kernel is large, when left out.",
        min=1,
    ),
]
BackendName = Annotated[
    str,
    _option("--backend", metavar="NAME", words=BACKEND_NAMES, help=f"{', '.join(BACKEND_NAMES)}."),
]
Jobs = Annotated[
    int, _option("--jobs", "-j", metavar="COUNT", help="Cells at a time; -1 for one a processor.")
]
DryRun = Annotated[
    bool,
    _option("--dry-run", help="Say what would be computed and what it takes."),
]

Out = Annotated[
    Path | None,
    _option("--out", "-o", metavar="DIR", help="Folder of the run; resumes what is there."),
]
Force = Annotated[bool, _option("--force", help="Start the folder of --out afresh.")]
Format = Annotated[
    str, _option("--format", "-f", metavar="NAME", words=FORMAT_NAMES, help="table, json or csv.")
]
Compare = Annotated[
    bool,
    _option("--compare", help="Medians over seeds with 95 % bootstrap intervals."),
]
Plot = Annotated[
    Path | None,
    _option(
        "--plot",
        metavar="FILE.pdf",
        help="Draw into FILE.pdf, with FILE.png and FILE.csv beside it.",
    ),
]
Config = Annotated[
    Path | None,
    _option(
        "--config",
        metavar="FILE.toml",
        is_eager=True,
        callback=read_config_file,
        help="TOML file of options; the command line wins.",
    ),
]
Debug = Annotated[
    bool,
    _option("--debug", is_eager=True, callback=_debug, help="Tracebacks for errors."),
]
