"""`ntklab dynamics`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ntklab.cli import console, prompts
from ntklab.cli import options as opt
from ntklab.cli import training_options as own
from ntklab.cli.by_task import ByTask
from ntklab.errors import InputError
from ntklab.experiments.grid import Grid
from ntklab.experiments.training.heads.config import DYNAMICS_OPTIONS
from ntklab.experiments.training.prompt.config import PromptConfig
from ntklab.tables import Columns

if TYPE_CHECKING:
    from ntklab.records import Record

COLUMNS: Columns = {
    "step": "step",
    "measured": "measured",
    "predicted": "predicted",
    "lambda_min_envelope": "eq 10",
    "mended_bound": "mended bound",
    "drift": "drift",
    "linearization_error": "lin. error",
    "mode_1_loss": "mode 1",
    "mode_2_loss": "mode 2",
    "mode_3_loss": "mode 3",
}


SETTINGS = ByTask(
    own.settings(
        axes=("seed",),
        without=("epochs", "rates", "latent", "settings", "predict"),
        defaults={**DYNAMICS_OPTIONS, "batch": None, "watched": None},
        task=(prompts.TASK,),
    ),
    prompts.SETTINGS,
    prompts.TASK,
    first_alone=("plot",),
)


def dynamics(
    grid: Annotated[Grid[Any], SETTINGS],
    *,
    run: own.Run,
    show: opt.ShowWithPlot,
) -> None:
    """Compute linearized training beside the measured run, and say whether the two agree.

    The step size is half the stability limit unless --lr gives one. --task prompt fine-tunes a
    language model by SGD beside what its kernel predicts on test sentences.

    \b
    Examples:
      ntklab dynamics --method tensorguide --alpha 100 --plot runs/lazy.pdf
      ntklab dynamics --method lora --loss cross-entropy --samples 128 --format json
    """
    show.check()
    if grid.kind is PromptConfig:
        _prompt_dynamics(grid, run=run, show=show)
        return
    own.one_blas_thread()
    from ntklab.experiments.training.cells import dynamics_cells
    from ntklab.experiments.training.experiment import DYNAMICS
    from ntklab.figures.training import certificate_text, prediction_table
    from ntklab.records import Record

    cells, form = dynamics_cells(grid), show.form
    if run.dry_run:
        console.print_plan(DYNAMICS, cells)
        return
    record = own.run_pairs(DYNAMICS, cells, run)
    if show.plot is not None:
        _draw(record, show.plot)
    if form == "json":
        console.print_record(record, form, COLUMNS)
        return
    for row in record.results:
        table = prediction_table(record, row["cell"])
        if form == "csv":
            shown = [{"variant": row["variant"], "seed": row["seed"], **one} for one in table]
            shown = [{**one, "reason": row["reason"]} for one in shown]
            console.print_record(Record("dynamics", {}, {}, shown), form, COLUMNS)
            continue
        console.print_table(table, COLUMNS, form)
        if form != "table":
            continue
        console.write_line(f"seed {row['seed']}: {certificate_text(row)}")
        if row["reason"]:
            console.write_line(row["reason"])


def _prompt_dynamics(grid: Grid[PromptConfig], *, run: own.Run, show: opt.ShowWithPlot) -> None:
    """Curves of one method on prompts, measured and predicted."""
    if prompts.methods_of(grid) in ([], ["all"]):
        raise InputError("a prediction is of one method: give --method, or use ntklab pair.")
    grid = replace(grid, given={"optimizer": "sgd", **grid.given}, axes={"seed": [0], **grid.axes})
    record = prompts.run_panel(grid, quick=False, run=run)
    if record is None:
        return
    console.print_result(record, show.form, tables(record))
    if show.form == "table":
        for row in record.results:
            console.write_line(prompts.certificate_sentence(row))


def tables(record: "Record") -> list[console.Shown]:
    """The table of every seed."""
    if any(row.get("task") == prompts.TASK for row in record.results):
        return prompts.curve_tables(record)
    from ntklab.figures.training import prediction_table

    return [(prediction_table(record, row["cell"]), COLUMNS) for row in record.results]


def _draw(record: "Record", plot: Path) -> None:
    from ntklab.figures import save_figure
    from ntklab.figures.training import prediction_figure

    figure, table = prediction_figure(record, record.results[0]["cell"])
    for path in save_figure(figure, plot, table):
        console.note(f"wrote {path}")
