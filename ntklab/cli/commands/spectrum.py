"""`ntklab spectrum`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.convert import Settings
from ntklab.experiments.grid import Grid
from ntklab.experiments.spectrum.config import SpectrumConfig

if TYPE_CHECKING:
    from ntklab.records import Record

_SAYS = {-1: "smaller", 0: "undecided", 1: "larger"}

SETTINGS = Settings(
    SpectrumConfig, axes=("data_condition", "method", "seed"), defaults={"device": "auto"}
)


def spectrum(
    grid: Annotated[Grid[SpectrumConfig], SETTINGS],
    *,
    compare: opt.Compare = False,
    run: opt.Run,
    scheduler: opt.Scheduler = None,
    store: opt.Store = None,
    show: opt.ShowWithPlot,
) -> None:
    """Compute all eigenvalues of the NTK, its rank, and the smallest eigenvalue with its error.

    With --scheduler or --store the workers of a dask cluster compute kernels in blocks.

    \b
    Examples:
      ntklab spectrum --method tensorguide --samples 256 --seeds 0:5 --format json
      ntklab spectrum --method all --seeds 0:5 --compare --plot runs/spectrum.pdf --out runs/all
      ntklab spectrum --method tensorguide --scheduler local:2 --store kernels.zarr
      ntklab spectrum --model gpt2 --target c_attn --text a.txt --readout tokens:yes,no --per-layer
    """
    show.check()
    from ntklab.experiments.spectrum import SPECTRUM

    cells = grid.cells()
    if run.dry_run:
        console.print_plan(SPECTRUM, cells)
        return
    if scheduler is None and store is None:
        record = console.run(SPECTRUM, cells, run)
    else:
        from ntklab.distributed import connect
        from ntklab.experiments.spectrum.shared import shared_spectra

        with connect(scheduler):
            record = console.run(shared_spectra(store), cells, run)
    if show.plot is not None:
        from ntklab.figures.layers import layers_figure

        figure_of = layers_figure if cells[0].inside.per_layer else _without_weighted_rows
        console.draw(record, show.plot, run.out, figure_of)
    if compare:
        print_compared(record, show.form)
    else:
        console.print_result(record, show.form, tables(record))


def _without_weighted_rows(record: "Record") -> Any:
    """The figure of a record, of the kernels themselves."""
    from ntklab.experiments.spectrum import without_weighted
    from ntklab.figures import spectrum_figure

    return spectrum_figure(without_weighted(record))


def tables(record: "Record") -> list[console.Shown]:
    """The table of a record; the kernel is named only where there are several."""
    from ntklab.experiments.spectrum.experiment import COLUMNS

    weighted = len({row.get("output") for row in record.results}) > 1
    return [(record.results, {k: v for k, v in COLUMNS.items() if weighted or k != "output"})]


def print_compared(record: "Record", form: str) -> None:
    """Medians over seeds, and every method less the first with a paired test."""
    from ntklab.experiments.spectrum import compared, without_weighted
    from ntklab.experiments.spectrum.comparison import differences
    from ntklab.experiments.spectrum.experiment import COLUMNS, COMPARED, DIFFERENCES

    medians = compared(record)
    if form in console.DATA:
        console.print_record(medians, form, COMPARED)
        return
    headings = {**COLUMNS, **COMPARED, "lambda_min_nonzero_over_mean": "λ min⁺ / mean λ"}
    rows = []
    for row in differences(without_weighted(record).results):
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
    """The meaning of the differences, and how many seeds such a family of tests needs."""
    from ntklab.statistics import SIGNIFICANT

    conditions = [row["data_condition"] for row in rows]
    family = max(map(conditions.count, conditions))
    enough = next(seeds for seeds in range(2, 99) if family * 2.0 ** (1 - seeds) < SIGNIFICANT)
    return (
        f"Means of differences to {rows[0]['against']} at equal seeds, 95 % bootstrap intervals; p "
        f"is Wilcoxon's, by Holm over {family} rows: fewer than {enough} seeds cannot decide."
    )
