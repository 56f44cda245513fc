"""`ntklab train`."""

from typing import TYPE_CHECKING

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli import training_options as own
from ntklab.cli.language_options import Language
from ntklab.tables import Column, Columns

if TYPE_CHECKING:
    from ntklab.records import Record

COLUMNS: Columns = {
    "variant": "variant",
    "seed": "seed",
    "params": "P",
    "steps": Column("steps", 3),
    "lr": "lr",
    "train_loss": "train loss",
    "train_accuracy": "train",
    "test_accuracy": "test",
    "noisy_accuracy": "noisy",
    "clean_accuracy": "clean",
    "gap": "gap",
    "accuracy_gap": Column("acc. gap", 2),
    "drift_max": "drift",
    "ntk_regime": "NTK regime",
    "steps_per_second": Column("steps/s", 4),
    "reason": "reason",
}


def train(
    ctx: typer.Context,
    *,
    method: own.Methods = ["tensorguide"],  # noqa: B006 — typer copies it
    data: opt.Data,
    samples: own.TrainingRows = None,
    seeds: opt.Seeds = "0",
    adapter: opt.Adapter,
    optimizer: own.Optimizer = "adam",
    loss: own.Loss = "cross-entropy",
    lr: own.LearningRate = None,
    batch: own.Batch = 16,
    epochs: own.Epochs = None,
    steps: own.Steps = None,
    latent: own.Latent = "fixed",
    watched: own.Watched = 0,
    end_to_end: own.EndToEnd = False,
    language: Language,
    device: opt.Device = "cpu",
    dtype: opt.Dtype = "float64",
    threads: own.Threads = None,
    out: opt.Out = None,
    force: opt.Force = False,
    form: opt.Format = "table",
    plot: opt.Plot = None,
) -> None:
    """One measured run a method and seed: losses, accuracies on clean and noisy images, gaps.

    --end-to-end runs the released script instead: batch, rate and start are its own.
    --task wikitext trains the last layer of a language model and measures perplexity.

    \b
    Examples:
      ntklab train --method tensorguide --task quantum-dot --seeds 0:3
      ntklab train --task wikitext --method tensorguide --width 4 --quick --out runs/words
    """
    from ntklab.cli.language_request import LANGUAGE_TASK, refuse_misplaced, run_language_command

    console.check_format(form)
    refuse_misplaced(ctx)
    if data.task == LANGUAGE_TASK:
        run_language_command(ctx)
        return
    from ntklab.cli.training_request import one_blas_thread, run_pairs, train_configs

    one_blas_thread()
    from ntklab.experiments.training.experiment import END_TO_END, TRAIN

    how = opt.Run(out=out, force=force, threads=threads)
    record = run_pairs(END_TO_END if end_to_end else TRAIN, train_configs(ctx.params), how)
    if plot is not None:
        from ntklab.cli.pair import draw_curves

        draw_curves(record, plot)
    console.print_result(record, form, tables(record))


def tables(record: "Record") -> list[console.Shown]:
    """The table of measured runs, of heads or of a language model's last layer."""
    from ntklab.cli import language_request

    language = any("test_perplexity" in row for row in record.results)
    return [(record.results, language_request.COLUMNS if language else COLUMNS)]
