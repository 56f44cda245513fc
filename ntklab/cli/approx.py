"""`ntklab approx`."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.groups import option
from ntklab.tables import Columns

if TYPE_CHECKING:
    from ntklab.records import Record
    from ntklab.sweeps.approximation import ApproximationConfig

# Written out because loading the library loads torch; a test compares the two.
TARGET_NAMES = ("barron", "dense-head")
WIDTHS = "64:4096"

COLUMNS: Columns = {
    "target": "target",
    "kind": "network",
    "seed": "seed",
    "width": "M",
    "tt_ranks": "TT-ranks",
    "params": "P",
    "test_error": "error",
    "target_rms": "of",
    "barron_bound": "C/√M",
    "test_accuracy": "accuracy",
    "reason": "reason",
}
TRUNCATED: Columns = {
    "target": "target",
    "seed": "seed",
    "width": "M",
    "tt_ranks": "TT-ranks",
    "relative_error_lower": "max τ",
    "relative_error": "ε_TT/‖w‖",
    "relative_error_upper": "Σ τ",
    "function_error": "‖f − f̂‖",
    "function_bound": "eq 8",
    "sum_bound": "eq 9",
    "adapter_error": "adapter",
    "accuracy_before": "before",
    "accuracy_after": "after",
    "adapter_accuracy": "adapter",
}

#: How much is computed, by target: quick, and in full.
SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "barron": (
        {"samples": 16384, "steps": 1500, "batch": 256},
        {"samples": 65536, "steps": 10000, "batch": 512},
    ),
    "dense-head": (
        {"samples": 256, "images": 400, "steps": 200, "batch": 64},
        {"samples": 1024, "images": 2000, "steps": 1000, "batch": 64},
    ),
}


def approx(
    ctx: typer.Context,
    *,
    target: Annotated[
        list[str], option("--target NAME", "barron or dense-head, or both when left out.")
    ] = [],  # noqa: B006 — typer copies it
    widths: opt.Widths = WIDTHS,
    tt_ranks: opt.ManyTTRanks = [],  # noqa: B006 — typer copies it
    quick: Annotated[bool, option("--quick", "Fewer samples and steps.")] = False,
    seeds: opt.Seeds = "0",
    data: opt.Data,
    samples: Annotated[int | None, option("--samples -n N", "Training samples N.")] = None,
    steps: Annotated[int | None, option("--steps COUNT", "Updates of Adam.", min=1)] = None,
    device: opt.Device = "cpu",
    backend: opt.BackendName = "loky",
    jobs: opt.Jobs = -1,
    out: opt.Out = None,
    force: opt.Force = False,
    form: opt.Format = "table",
    plot: opt.Plot = None,
    dry_run: opt.DryRun = False,
) -> None:
    """Approximation over width and TT-rank: eqs 7 to 9, each beside what training reaches.

    \b
    Examples:
      ntklab approx --quick --out runs/approx --plot approximation.pdf
      ntklab approx --target barron --width 64:4096 --tt-ranks 1,2,2,1,1 --seeds 0:3
    """
    console.check_format(form)
    configs = approximation_configs(ctx.params)
    if dry_run:
        rows = [one.to_dict() | {"tt_ranks": str(one.tt_ranks)} for one in configs]
        names = ("target", "network", "width", "tt_ranks", "seed", "samples", "steps")
        console.print_table(rows, {name: name for name in names})
        return
    record = run_approximation(configs, backend=backend, jobs=jobs, out=out, force=force)
    if plot is not None:
        draw(record, plot, out)
    console.print_result(record, form, tables(record))


def tables(record: "Record") -> list[console.Shown]:
    """The table of trained networks, and of truncated ones."""
    networks = [row for row in record.results if row["kind"] != "truncation"]
    truncated = [row for row in record.results if row["kind"] == "truncation"]
    return [(networks, COLUMNS), (truncated, TRUNCATED)]


def approximation_configs(options: dict[str, Any]) -> list["ApproximationConfig"]:
    """Every network of every target that the options name.

    Raises:
        InputError: for words and numbers that mean nothing.
    """
    from ntklab.cli.parse import parse_numbers, parse_seeds, parse_widths
    from ntklab.compute import resolve_device
    from ntklab.errors import unknown
    from ntklab.sweeps.approximation import TT_RANKS, ApproximationConfig, approximation_cells

    widths = parse_widths(options.get("widths") or WIDTHS) or ()
    given = [parse_numbers("tt-ranks", text) or () for text in options.get("tt_ranks") or []]
    seeds = parse_seeds(options.get("seeds", "0"))
    task = {
        name: options.get(name)
        for name in ("task", "data_condition", "images", "backbone")
        if options.get(name) is not None
    }
    for name in ("data", "backbone_weights"):
        if options.get(name) is not None:
            task[name] = str(options[name])
    configs = []
    for target in options.get("target") or TARGET_NAMES:
        if target not in SIZES:
            raise unknown("target", target, TARGET_NAMES)
        own = dict(SIZES[target][0 if options.get("quick") else 1])
        own |= {} if target == "barron" else task
        own |= {k: options[k] for k in ("samples", "steps") if options.get(k) is not None}
        start = ApproximationConfig.of(
            target=target,
            network="dense",
            width=1,
            data_seed=options.get("data_seed", 0),
            device=resolve_device(options.get("device", "cpu")),
            **own,
        )
        configs += approximation_cells(start, widths, given or TT_RANKS, seeds)
    return configs


def run_approximation(
    configs: Sequence["ApproximationConfig"],
    *,
    backend: str = "loky",
    jobs: int = 1,
    out: Path | None = None,
    force: bool = False,
) -> "Record":
    """Train what is not yet in the folder and write the record, if a folder is given.

    Raises:
        InputError: if a shape does not fit, or the folder holds another run.
        typer.Exit: with code 130 after Ctrl-C; finished networks stay on disk.
    """
    from ntklab.records import RunFolder, collect, now
    from ntklab.sweeps.approximation import (
        approximation_config,
        approximation_record,
        check_shapes,
        run_approximation_cell,
        shared_by_target,
    )
    from ntklab.sweeps.backends import check_backend, run_everywhere

    check_backend(backend, jobs)
    started, start = now(), time.perf_counter()
    check_shapes(configs)
    folder = None if out is None else RunFolder(out, shared_by_target(configs), force=force)
    with console.counting() as progress, console.stoppable(out):
        cells = run_everywhere(
            configs, run_approximation_cell, folder=folder, backend=backend, jobs=jobs,
            progress=progress,
        )  # fmt: skip
    provenance = collect(
        device=configs[0].compute.device,
        dtype=configs[0].compute.dtype,
        threads=1,
        started=started,
        seconds=time.perf_counter() - start,
    )
    record = approximation_record(
        configs, cells, config=approximation_config(configs), provenance=provenance
    )
    if out is not None:
        record.write(out)
    return record


def draw(record: "Record", plot: Path, out: Path | None) -> None:
    """The figure of a record that stands on disk, and its caption on stderr."""
    from ntklab.figures import figure_path, save_figure
    from ntklab.figures.approximation import approximation_caption, approximation_figure
    from ntklab.records import Record

    stem = figure_path(plot)
    written = out / "record.json" if out is not None else record.write(stem.parent, stem.name)
    kept = Record.read(written)
    figure, table = approximation_figure(kept)
    for path in save_figure(figure, plot, table):
        console.note(f"wrote {path}")
    console.note(approximation_caption(kept))
