"""`ntklab dynamics`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli import training_options as own
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


def dynamics(
    ctx: typer.Context,
    *,
    method: own.Method = "tensorguide",
    data: opt.Data,
    samples: own.TrainingRows = 64,
    seeds: opt.Seeds = "0",
    adapter: opt.Adapter,
    optimizer: own.Optimizer = "gd",
    loss: own.Loss = "squared",
    lr: own.LearningRate = None,
    batch: own.Batch = None,
    steps: own.Steps = 300,
    alpha: own.Alpha = None,
    watched: own.Watched = None,
    device: opt.Device = "cpu",
    dtype: opt.Dtype = "float64",
    threads: own.Threads = None,
    out: opt.Out = None,
    force: opt.Force = False,
    form: opt.Format = "table",
    plot: opt.Plot = None,
) -> None:
    """Linearized training beside the measured run, mode by mode, and whether it may be believed.

    The step size is half the stability limit unless --lr gives one.

    \b
    Examples:
      ntklab dynamics --method tensorguide --alpha 100 --plot lazy.pdf
      ntklab dynamics --method lora --loss cross-entropy --samples 128 --format json
    """
    from ntklab.cli.training_request import dynamics_configs, one_blas_thread, run_pairs

    one_blas_thread()
    from ntklab.experiments.training.experiment import DYNAMICS
    from ntklab.figures.training import certificate_text, prediction_table
    from ntklab.records import Record

    console.check_format(form)
    configs = dynamics_configs(ctx.params)
    record = run_pairs(DYNAMICS, configs, opt.Run(out=out, force=force, threads=threads))
    if plot is not None:
        _draw(record, plot)
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


def tables(record: "Record") -> list[console.Shown]:
    """The table of every seed."""
    from ntklab.figures.training import prediction_table

    return [(prediction_table(record, row["cell"]), COLUMNS) for row in record.results]


def _draw(record: "Record", plot: Path) -> None:
    from ntklab.figures import save_figure
    from ntklab.figures.training import prediction_figure

    figure, table = prediction_figure(record, record.results[0]["cell"])
    for path in save_figure(figure, plot, table):
        console.note(f"wrote {path}")
