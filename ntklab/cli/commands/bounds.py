"""`ntklab bounds`."""

from typing import TYPE_CHECKING, Annotated

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.convert import Settings
from ntklab.experiments.bounds.config import BoundsConfig
from ntklab.experiments.grid import Grid
from ntklab.experiments.spectrum.inside.spec import ModelSpec

if TYPE_CHECKING:
    from ntklab.records import Record

SETTINGS = Settings(
    BoundsConfig,
    axes=("data_condition", "method", "seed"),
    defaults={"device": "auto"},
    without=("per_core", "weighted", *ModelSpec.flat_fields()),
)


def bounds(
    grid: Annotated[Grid[BoundsConfig], SETTINGS],
    *,
    run: opt.Run,
    show: opt.ShowWithPlot,
) -> None:
    """Compute every bound of a kernel beside the quantity that it bounds, and mark vacuous ones.

    \b
    Examples:
      ntklab bounds --method tensorguide --samples 256 --format json
      ntklab bounds --method all --seeds 0:3 --gauge --plot runs/bounds.pdf --out runs/bounds
    """
    show.check()
    from ntklab.experiments.bounds import BOUNDS

    cells = grid.cells()
    if run.dry_run:
        console.print_plan(BOUNDS, cells)
        return
    record = console.run(BOUNDS, cells, run)
    if show.plot is not None:
        from ntklab.figures.bounds import bounds_figure

        console.draw(record, show.plot, run.out, bounds_figure)
    console.print_result(record, show.form, tables(record))


def tables(record: "Record") -> list[console.Shown]:
    """The table of bounds, and of gauges where they were asked for."""
    from ntklab.experiments.bounds import BOUNDS, GAUGES, bound_table, gauge_table

    gauges = [row for row in record.results if row["kind"] == "gauge"]
    return [(bound_table(record), BOUNDS.columns), (gauge_table(record) if gauges else [], GAUGES)]
