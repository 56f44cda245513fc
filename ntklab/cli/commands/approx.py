"""`ntklab approx`."""

from typing import TYPE_CHECKING, Annotated

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.convert import Settings
from ntklab.cli.groups import option
from ntklab.experiments.approximation.config import ApproximationConfig
from ntklab.experiments.grid import Grid
from ntklab.experiments.planned import PLANNERS

if TYPE_CHECKING:
    from ntklab.records import Record

SETTINGS = Settings(
    ApproximationConfig,
    axes=("target", "width", "tt_ranks", "seed"),
    defaults={"width": "64:4096", "samples": None, "steps": None},
    without=("network", "features", "batch", "rate", "dtype"),
)


def approx(
    grid: Annotated[Grid[ApproximationConfig], SETTINGS],
    *,
    quick: Annotated[bool, option("--quick", "Fewer samples and steps.")] = False,
    run: opt.RunAnywhere,
    show: opt.ShowWithPlot,
) -> None:
    """Compute approximation bounds (eqs 7 to 9) over width and TT-rank, beside trained errors.

    \b
    Examples:
      ntklab approx --quick --out runs/approx --plot runs/approximation.pdf
      ntklab approx --target barron --width 64:4096 --tt-ranks 1,2,2,1,1 --seeds 0:3
    """
    show.check()
    experiment, cells = PLANNERS["approx"].make(grid, quick=quick)
    if run.dry_run:
        console.print_plan(experiment, cells)
        return
    record = console.run(experiment, cells, run)
    if show.plot is not None:
        from ntklab.figures.approximation import approximation_caption, approximation_figure

        drawn = console.draw(record, show.plot, run.out, approximation_figure)
        console.note(approximation_caption(drawn))
    console.print_result(record, show.form, tables(record))


def tables(record: "Record") -> list[console.Shown]:
    """The table of trained networks, and of truncated ones."""
    from ntklab.experiments.approximation import APPROXIMATION, TRUNCATED

    networks = [row for row in record.results if row["kind"] != "truncation"]
    truncated = [row for row in record.results if row["kind"] == "truncation"]
    return [(networks, APPROXIMATION.columns), (truncated, TRUNCATED)]
