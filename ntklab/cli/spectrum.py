"""`ntklab spectrum`."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.groups import option
from ntklab.tables import Column, Columns

if TYPE_CHECKING:
    from ntklab.records import Cell, Record
    from ntklab.sweeps import Preview, SpectrumConfig

COLUMNS: Columns = {
    "method": "method",
    "data_condition": "data",
    "seed": "seed",
    "core": "core",
    "output": "kernel",
    "width": Column("M", 1),
    "effective_width": Column("M eff", 4),
    "params": "P",
    "outputs": "N·C",
    "rank": "rank",
    "rank_bound": Column("bound", 2),
    "trace_share": "of trace",
    "lambda_max": "λ max",
    "lambda_min": "λ min",
    "lambda_min_nonzero": "λ min⁺",
    "condition": "condition",
    "effective_dimension": Column("d eff", 3),
    "kernel_target_alignment": Column("alignment", 3),
    "seconds": Column("s", 5),
}
COMPARED: Columns = {
    "method": "method",
    "data_condition": "data",
    "width": Column("M", 2),
    "tt_ranks": Column("TT-ranks", 2),
    "seeds": "seeds",
    "params": "P",
    "outputs": "N·C",
    "rank": "rank",
    "rank_bound": Column("bound", 2),
    "lambda_max": "λ max",
    "lambda_min": Column("λ min", interval=True),
    "lambda_min_nonzero": Column("λ min⁺", interval=True),
    "condition": "condition",
    "kernel_target_alignment": Column("alignment", 3),
}
DIFFERENCES: Columns = {
    "method": "method",
    "width": Column("M", 2),
    "tt_ranks": Column("TT-ranks", 2),
    "data_condition": "data",
    "against": Column("less", 3),
    "figure": "figure",
    "mean": Column("difference", interval=True),
    "won": "larger",
    "holm_p": Column("p", 1),
    "says": "seeds say",
}
_SAYS = {-1: "smaller", 0: "undecided", 1: "larger"}


def spectrum(
    ctx: typer.Context,
    *,
    method: opt.Methods = ["all"],  # noqa: B006 — typer copies it
    data: opt.SpectrumData,
    samples: opt.Samples = 256,
    seeds: opt.Seeds = "0",
    adapter: opt.Adapter,
    engine: opt.EngineName = "auto",
    centred: opt.Centred = False,
    per_core: Annotated[
        bool, option("--per-core", "Also a row for the kernel of every core, K = sum of K_k.")
    ] = False,
    weighted: Annotated[
        bool,
        option("--weighted", "Also J^T(diag p - pp^T)J, the kernel that cross-entropy curves by."),
    ] = False,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float64",
    memory: opt.Memory = None,
    threads: opt.Threads = None,
    out: opt.Out = None,
    force: opt.Force = False,
    form: opt.Format = "table",
    compare: opt.Compare = False,
    plot: opt.Plot = None,
    dry_run: opt.DryRun = False,
) -> None:
    """The whole spectrum of the NTK, with its rank and an honest smallest eigenvalue.

    \b
    Examples:
      ntklab spectrum --method tensorguide --samples 256 --seeds 0:5 --format json
      ntklab spectrum --method all --seeds 0:5 --compare --plot spectrum.pdf --out runs/all
    """
    from ntklab.cli.request import spectrum_configs
    from ntklab.sweeps import previews

    console.check_format(form)
    configs = spectrum_configs(ctx.params)
    planned = previews(configs)
    if dry_run:
        say_plan(configs, planned)
        return
    for sentence in estimates(configs, planned):
        console.note(sentence)
    record = run_spectra(configs, planned, out=out, force=force, threads=threads)
    if plot is not None:
        draw(record, plot, out)
    if compare:
        print_compared(record, form)
    else:
        console.print_result(record, form, tables(record))


def tables(record: "Record") -> list[console.Shown]:
    """The table of a record; the kernel is named only where there are several."""
    weighted = len({row.get("output") for row in record.results}) > 1
    return [(record.results, {k: v for k, v in COLUMNS.items() if weighted or k != "output"})]


def print_compared(record: "Record", form: str) -> None:
    """Medians over seeds, and every method less the first with a paired test."""
    from ntklab.sweeps.compare import differences

    medians = compared(record)
    if form in console.DATA:
        console.print_record(medians, form, COMPARED)
        return
    headings = {**COLUMNS, **COMPARED, "lambda_min_nonzero_over_mean": "λ min⁺ / mean λ"}
    rows = []
    for row in differences(plain(record).results):
        heading = headings[row["figure"]]
        rows.append(
            row
            | {"figure": heading if isinstance(heading, str) else heading.heading}
            | {"won": f"{row['wins']} of {row['seeds']}", "says": _SAYS[row["decided"]]}
        )
    console.print_tables([(medians.results, COMPARED), (rows, DIFFERENCES)], form)
    if rows and form == "table":
        console.write_line(_how_tested(rows))


def _how_tested(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the differences are, and how many seeds such a family of tests needs."""
    from ntklab.statistics import SIGNIFICANT

    conditions = [row["data_condition"] for row in rows]
    family = max(map(conditions.count, conditions))
    enough = next(seeds for seeds in range(2, 99) if family * 2.0 ** (1 - seeds) < SIGNIFICANT)
    return (
        f"Means of differences to {rows[0]['against']} at equal seeds, 95 % bootstrap intervals; p "
        f"is Wilcoxon's, by Holm over {family} rows: fewer than {enough} seeds cannot decide."
    )


def run_spectra(
    configs: Sequence["SpectrumConfig"],
    planned: Sequence["Preview"],
    *,
    out: Path | None = None,
    force: bool = False,
    threads: int | None = None,
) -> "Record":
    """Compute (or resume) the cells and write their record, if a folder is given.

    Raises:
        InputError: if the folder holds another run.
        typer.Exit: with code 130 after Ctrl-C; finished cells stay on disk.
    """
    from ntklab.cli.request import run_config
    from ntklab.records import RunFolder, collect, now
    from ntklab.sweeps import fitting_threads, run_cells, spectrum_record

    threads = threads or max(fitting_threads(one.outputs, one.parameters) for one in planned)
    started, start = now(), time.perf_counter()
    config = run_config(configs, planned)
    folder = None if out is None else RunFolder(out, config, force=force)
    try:
        with console.cell_progress() as progress:
            cells = run_cells(
                configs, folder=folder, progress=progress, threads=threads, run=cell_runner(configs)
            )
    except KeyboardInterrupt:
        kept = "give --out DIR to keep finished cells" if out is None else f"run it again: {out}"
        sys.stderr.write(f"stopped; to go on where it stopped, {kept}\n")
        raise typer.Exit(130) from None
    provenance = collect(
        device=configs[0].compute.device,
        dtype=configs[0].compute.dtype,
        threads=threads,
        started=started,
        seconds=time.perf_counter() - start,
    )
    record = spectrum_record(configs, cells, config=config, provenance=provenance)
    if out is not None:
        record.write(out)
    return record


def cell_runner(configs: Sequence["SpectrumConfig"]) -> "Callable[[Any], Cell]":
    """What computes a cell: with --weighted, also the kernel that cross-entropy curves by."""
    from ntklab.sweeps import run_cell
    from ntklab.sweeps.weighted import run_weighted_cell

    return run_weighted_cell if configs[0].weighted else run_cell


def compared(record: "Record") -> "Record":
    """The record of the comparison over seeds."""
    from ntklab.records import Record
    from ntklab.sweeps.compare import compare

    return Record("compare", record.config, record.provenance, compare(plain(record).results))


def plain(record: "Record") -> "Record":
    """The record without the rows of --weighted, which are of another kernel."""
    from ntklab.sweeps.weighted import OUTPUT

    return replace(record, results=[row for row in record.results if row["output"] != OUTPUT])


def draw(record: "Record", plot: Path, out: Path | None) -> None:
    """The figure of a record that stands on disk: in the run's folder, or beside the figure."""
    from ntklab.figures import figure_path, save_figure, spectrum_figure
    from ntklab.records import Record

    stem = figure_path(plot)
    written = out / "record.json" if out is not None else record.write(stem.parent, stem.name)
    figure, table = spectrum_figure(plain(Record.read(written)))
    for path in save_figure(figure, plot, table):
        console.note(f"wrote {path}")


def estimates(configs: Sequence["SpectrumConfig"], planned: Sequence["Preview"]) -> list[str]:
    """What the run takes, and what the planner warns of, in sentences."""
    from ntklab.jacobians import format_memory

    each = {one.method: one for one in planned}
    times = [each[config.adapter.method].seconds for config in configs]
    seconds = None if None in times else sum(one or 0.0 for one in times)
    about = "at a time not estimated" if seconds is None else f"about {seconds:.0f} s"
    memory = max(one.memory_bytes for one in planned)
    sentences = [
        f"{len(configs)} spectra, {about} and {format_memory(memory)} "
        "for Jacobian and solver (estimated)."
    ]
    return sentences + [f"{one.method}: {text}" for one in planned for text in one.warnings]


def say_plan(configs: Sequence["SpectrumConfig"], planned: Sequence["Preview"]) -> None:
    """The resolved configuration, the shapes and the estimates, on stdout."""
    from ntklab.cli.request import run_config
    from ntklab.jacobians import format_memory
    from ntklab.records import to_json

    console.write_json(to_json(run_config(configs, planned)))
    rows: list[Mapping[str, Any]] = [
        {
            "method": one.method,
            "shapes": "; ".join(f"{name} {shape}" for name, shape in one.shapes.items()) or None,
            "width": one.width,
            "parameters": one.parameters,
            "outputs": one.outputs,
            "rank_bound": one.rank_bound,
            "memory": format_memory(one.memory_bytes),
            "seconds": one.seconds,
        }
        for one in planned
    ]
    console.print_table(rows, {name: name.replace("_", " ") for name in rows[0]})
    for sentence in estimates(configs, planned):
        sys.stdout.write(f"{sentence}\n")
