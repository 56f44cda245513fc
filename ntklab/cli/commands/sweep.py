"""`ntklab sweep`."""

from typing import TYPE_CHECKING, Annotated

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.commands.spectrum import print_compared
from ntklab.cli.convert import Settings
from ntklab.experiments.grid import Grid
from ntklab.experiments.spectrum.config import SpectrumConfig

if TYPE_CHECKING:
    from ntklab.records import Record

SETTINGS = Settings(
    SpectrumConfig,
    axes=("data_condition", "method", "seed", "width", "rank", "tt_ranks"),
    defaults={"device": "auto"},
    without=("in_dims", "out_dims", "budget", "per_core", "weighted", "per_layer"),
)


def sweep(
    grid: Annotated[Grid[SpectrumConfig], SETTINGS],
    *,
    compare: opt.Compare = False,
    run: opt.RunAnywhere,
    show: opt.Show,
) -> None:
    """Compute spectra over a grid of methods, widths, ranks and seeds, several cells at once.

    A folder given by --out holds one JSON a cell: a second run computes only what is missing, and
    a sweep may grow along every axis.

    \b
    Examples:
      ntklab sweep --method tensorguide --width 64:4096 --seeds 0:5 --jobs 2 --out runs/widths
      ntklab sweep --method lora --method tt-lora --rank 1,2,4 --backend dask --out runs/ranks
    """
    show.check()
    from ntklab.experiments.spectrum import SWEEP

    cells = grid.cells()
    if run.dry_run:
        console.print_plan(SWEEP, cells)
        return
    record = console.run(SWEEP, cells, run)
    if compare:
        print_compared(record, show.form)
    else:
        console.print_result(record, show.form, tables(record))


def tables(record: "Record") -> list[console.Shown]:
    """The table of a record."""
    from ntklab.experiments.spectrum import SWEEP

    return [(record.results, SWEEP.columns)]
