"""`ntklab sweep`."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.groups import option
from ntklab.tables import Column, Columns

if TYPE_CHECKING:
    from ntklab.records import Record
    from ntklab.sweeps import SpectrumConfig

COLUMNS: Columns = {
    "method": "method",
    "data_condition": "data",
    "seed": "seed",
    "width": "M",
    "effective_width": Column("M eff", 3),
    "tt_ranks": "TT-ranks",
    "params": "P",
    "outputs": "N·C",
    "rank": "rank",
    "rank_bound": Column("bound", 1),
    "lambda_max": "λ max",
    "lambda_min": "λ min",
    "lambda_min_nonzero": "λ min⁺",
    "kernel_target_alignment": Column("alignment", 2),
    "seconds": Column("s", 4),
}


def sweep(
    ctx: typer.Context,
    *,
    method: opt.Methods = ["all"],  # noqa: B006 — typer copies it
    data: opt.SpectrumData,
    samples: opt.Samples = 256,
    seeds: opt.Seeds = "0",
    preset: opt.Preset = "ntk",
    widths: opt.Widths = None,
    ranks: Annotated[str | None, option("--rank -r R,R,..", "Ranks, e.g. 1,4,16.")] = None,
    tt_ranks: opt.ManyTTRanks = [],  # noqa: B006 — typer copies it
    activation: opt.Activation = None,
    scale: opt.Scale = None,
    engine: opt.EngineName = "auto",
    centred: opt.Centred = False,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float64",
    memory: opt.Memory = None,
    backend: opt.BackendName = "loky",
    jobs: opt.Jobs = -1,
    scheduler: Annotated[
        str | None, option("--scheduler ADDRESS", "A running dask scheduler.")
    ] = None,
    threads: Annotated[
        int, option("--threads COUNT", "CPU threads a cell.", min=1, max=opt.MOST_THREADS)
    ] = 1,
    out: opt.Out = None,
    force: opt.Force = False,
    form: opt.Format = "table",
    compare: opt.Compare = False,
    dry_run: opt.DryRun = False,
) -> None:
    """Spectra over a grid of methods, widths, ranks and seeds, several cells at once.

    A folder given by --out holds one JSON a cell: a second run computes only what is missing, and
    a sweep may grow along every axis.

    \b
    Examples:
      ntklab sweep --method tensorguide --width 64:4096 --seeds 0:5 --jobs 2 --out runs/widths
      ntklab sweep --method lora --method tt-lora --rank 1,2,4 --backend dask --out runs/ranks
    """
    from ntklab.cli.parse import parse_numbers, parse_widths
    from ntklab.cli.request import spectrum_configs
    from ntklab.sweeps.backends import check_backend
    from ntklab.sweeps.grid import first_seeds, grid

    console.check_format(form)
    check_backend(backend, jobs)
    axes = {
        "width": parse_widths(widths) or (),
        "rank": parse_numbers("rank", ranks) or (),
        "tt_ranks": [parse_numbers("tt-ranks", text) for text in tt_ranks],
    }
    given = {name: value for name, value in ctx.params.items() if name != "tt_ranks"}
    configs = grid(spectrum_configs(given), axes)
    if dry_run:
        say_cells(first_seeds(configs), len(configs))
        return
    record = run_sweep(
        configs, backend=backend, jobs=jobs, threads=threads, scheduler=scheduler, out=out,
        force=force,
    )  # fmt: skip
    if compare:
        from ntklab.cli.spectrum import print_compared

        print_compared(record, form)
    else:
        console.print_result(record, form, tables(record))


def tables(record: "Record") -> list[console.Shown]:
    """The table of a record."""
    return [(record.results, COLUMNS)]


def run_sweep(
    configs: Sequence["SpectrumConfig"],
    *,
    backend: str = "loky",
    jobs: int = 1,
    threads: int = 1,
    scheduler: str | None = None,
    out: Path | None = None,
    force: bool = False,
) -> "Record":
    """Compute what is missing and write the record, if a folder is given.

    Raises:
        InputError: if a point of the grid does not fit, or the folder holds another run.
        typer.Exit: with code 130 after Ctrl-C; finished cells stay on disk.
    """
    from ntklab.records import RunFolder, collect, now
    from ntklab.sweeps import preview, run_cell, spectrum_record
    from ntklab.sweeps.backends import run_everywhere
    from ntklab.sweeps.grid import as_sweep, first_seeds, shared_config, sweep_config

    started, start = now(), time.perf_counter()
    for config in first_seeds(configs):  # a point that cannot be is refused before the first cell
        preview(config)
    folder = None if out is None else RunFolder(out, shared_config(configs), force=force)
    with console.counting() as progress, console.stoppable(out):
        cells = run_everywhere(
            configs, run_cell, folder=folder, backend=backend, jobs=jobs, threads=threads,
            progress=progress, scheduler=scheduler,
        )  # fmt: skip
    provenance = collect(
        device=configs[0].compute.device,
        dtype=configs[0].compute.dtype,
        threads=threads,
        started=started,
        seconds=time.perf_counter() - start,
    )
    record = as_sweep(
        spectrum_record(configs, cells, config=sweep_config(configs), provenance=provenance)
    )
    if out is not None:
        record.write(out)
    return record


def say_cells(points: Sequence["SpectrumConfig"], cells: int) -> None:
    """The grid with its shapes, counts and estimated times, on stdout."""
    from ntklab.sweeps import preview

    planned = [preview(point) for point in points]
    rows = [
        {
            "method": one.method,
            "shapes": "; ".join(f"{name} {shape}" for name, shape in one.shapes.items()) or None,
            "width": one.width,
            "parameters": one.parameters,
            "outputs": one.outputs,
            "rank_bound": one.rank_bound,
            "seconds": one.seconds,
        }
        for one in planned
    ]
    console.print_table(rows, {name: name.replace("_", " ") for name in rows[0]})
    each = cells / len(points)
    times = [one.seconds for one in planned]
    total = None if None in times else each * sum(time or 0.0 for time in times)
    about = "at a time not estimated" if total is None else f"about {total:.0f} s of one processor"
    sys.stdout.write(f"{cells} cells, {about} (estimated).\n")
