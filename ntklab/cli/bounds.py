"""`ntklab bounds`."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.groups import option
from ntklab.tables import Column, Columns

if TYPE_CHECKING:
    from ntklab.records import Record
    from ntklab.sweeps import Preview
    from ntklab.sweeps.bounds import BoundsConfig

COLUMNS: Columns = {
    "method": "method",
    "data_condition": "data",
    "seed": "seed",
    "name": "bound",
    "equation": "eq",
    "form": Column("form", 1),
    "value": "value",
    "measured": "measured",
    "holds": "holds",
    "vacuous": "vacuous",
    "reason": "reason",
}
GAUGES: Columns = {
    "method": "method",
    "data_condition": "data",
    "seed": "seed",
    "given": "as given",
    "equal_norm": "equal-norm",
    "canonical": "canonical",
    "best": "best",
    "gap": "gap",
    "reason": "reason",
}


def bounds(
    ctx: typer.Context,
    *,
    method: opt.Methods = ["all"],  # noqa: B006 — typer copies it
    data: opt.SpectrumData,
    samples: opt.Samples = 256,
    seeds: opt.Seeds = "0",
    adapter: opt.Adapter,
    engine: opt.EngineName = "auto",
    centred: opt.Centred = False,
    delta: Annotated[float, option("--delta NUMBER", "Probability that a bound fails.")] = 0.05,
    unit: Annotated[float, option("--unit NUMBER", "Least radius of balls; prior scale.")] = 1.0,
    draws: Annotated[int, option("--draws COUNT", "Signs drawn for Monte Carlo.")] = 2000,
    steps: Annotated[int, option("--steps COUNT", "Of the gradient descent beside eq 10.")] = 200,
    gauge: Annotated[
        bool, option("--gauge", "λ min / mean of the same function in other gauges.")
    ] = False,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "float64",
    memory: opt.Memory = None,
    threads: opt.Threads = None,
    out: opt.Out = None,
    force: opt.Force = False,
    form: opt.Format = "table",
    plot: opt.Plot = None,
    dry_run: opt.DryRun = False,
) -> None:
    """Every bound of a kernel with its labels, beside what it bounds, and whether it says anything.

    \b
    Examples:
      ntklab bounds --method tensorguide --samples 256 --format json
      ntklab bounds --method all --seeds 0:3 --gauge --plot bounds.pdf --out runs/bounds
    """
    from ntklab.cli.request import spectrum_configs
    from ntklab.sweeps import previews
    from ntklab.sweeps.bounds import BoundsConfig

    console.check_format(form)
    own: dict[str, Any] = {
        "delta": delta,
        "unit": unit,
        "draws": draws,
        "steps": steps,
        "gauge": gauge,
    }
    configs = [BoundsConfig(kernel=one, **own) for one in spectrum_configs(ctx.params)]
    planned = previews([one.kernel for one in configs], rows=True)
    if dry_run:
        from ntklab.cli.spectrum import say_plan

        say_plan([one.kernel for one in configs], planned)
        return
    record = run_bounds(configs, planned, out=out, force=force, threads=threads)
    if plot is not None:
        draw(record, plot, out)
    console.print_result(record, form, tables(record))


def tables(record: "Record") -> list[console.Shown]:
    """The table of bounds, and of gauges where they were asked for."""
    from ntklab.sweeps.bounds import gauge_table

    found = [row for row in record.results if row["kind"] == "bound"]
    gauges = [row for row in record.results if row["kind"] == "gauge"]
    return [(found, COLUMNS), (gauge_table(record) if gauges else [], GAUGES)]


def run_bounds(
    configs: Sequence["BoundsConfig"],
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
    from ntklab.sweeps import fitting_threads
    from ntklab.sweeps.backends import run_everywhere
    from ntklab.sweeps.bounds import bounds_record, run_bounds_cell

    threads = threads or max(fitting_threads(one.outputs, one.parameters) for one in planned)
    started, start = now(), time.perf_counter()
    config = run_config([one.kernel for one in configs], planned) | own_fields(configs[0])
    folder = None if out is None else RunFolder(out, config, force=force)
    with console.counting() as progress, console.stoppable(out):
        cells = run_everywhere(
            configs, run_bounds_cell, folder=folder, jobs=1, threads=threads, progress=progress
        )
    provenance = collect(
        device=configs[0].kernel.compute.device,
        dtype=configs[0].kernel.compute.dtype,
        threads=threads,
        started=started,
        seconds=time.perf_counter() - start,
    )
    record = bounds_record(configs, cells, config=config, provenance=provenance)
    if out is not None:
        record.write(out)
    return record


def own_fields(config: "BoundsConfig") -> dict[str, Any]:
    """What a record says of bounds beside their kernel."""
    kernel = config.kernel.flat_fields()
    return {name: value for name, value in config.to_dict().items() if name not in kernel}


def draw(record: "Record", plot: Path, out: Path | None) -> None:
    """The figure of a record that stands on disk: in the run's folder, or beside the figure."""
    from ntklab.figures import figure_path, save_figure
    from ntklab.figures.bounds import bounds_figure
    from ntklab.records import Record

    stem = figure_path(plot)
    written = out / "record.json" if out is not None else record.write(stem.parent, stem.name)
    figure, table = bounds_figure(Record.read(written))
    for path in save_figure(figure, plot, table):
        console.note(f"wrote {path}")
