"""`ntklab train`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli import training_options as own
from ntklab.cli.groups import option
from ntklab.cli.language_request import COLUMNS as LANGUAGE_COLUMNS
from ntklab.cli.language_request import (
    LANGUAGE,
    LANGUAGE_TASK,
    Language,
    asked,
    refuse_misplaced,
    run_language_command,
)
from ntklab.experiments.grid import Grid
from ntklab.experiments.training.heads.config import TRAIN_OPTIONS, PairConfig
from ntklab.experiments.training.language.config import LanguageConfig
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


SETTINGS = own.settings(
    axes=("method", "seed"),
    without=("alpha", "rates", "settings", "predict"),
    defaults={"method": ["tensorguide"], **TRAIN_OPTIONS},
)


def train(
    ctx: typer.Context,
    grid: Annotated[Grid[PairConfig], SETTINGS],
    *,
    end_to_end: Annotated[
        bool, option("--end-to-end", "Through the backbone with conv1 trained, as released.")
    ] = False,
    words: Annotated[Grid[LanguageConfig], LANGUAGE],
    language: Language,
    run: own.Run,
    show: opt.ShowWithPlot,
) -> None:
    """One measured run a method and seed: losses, accuracies on clean and noisy images, gaps.

    --end-to-end runs the released script instead: batch, rate and start are its own.
    --task wikitext trains the last layer of a language model and measures perplexity.

    \b
    Examples:
      ntklab train --method tensorguide --task quantum-dot --seeds 0:3
      ntklab train --task wikitext --method tensorguide --width 4 --quick --out runs/words
    """
    show.check()
    refuse_misplaced(ctx)
    if grid.given["task"] == LANGUAGE_TASK:
        run_language_command(asked(ctx, grid, words), language, run, show)
        return
    own.one_blas_thread()
    from ntklab.experiments.training.cells import train_cells
    from ntklab.experiments.training.experiment import END_TO_END, TRAIN

    cells = train_cells(grid, end_to_end=end_to_end)
    experiment = END_TO_END if end_to_end else TRAIN
    if run.dry_run:
        console.print_plan(experiment, cells)
        return
    record = own.run_pairs(experiment, cells, run)
    if show.plot is not None:
        from ntklab.cli.commands.pair import draw_curves

        draw_curves(record, show.plot)
    console.print_result(record, show.form, tables(record))


def tables(record: "Record") -> list[console.Shown]:
    """The table of measured runs, of heads or of a language model's last layer."""
    language = any("test_perplexity" in row for row in record.results)
    return [(record.results, LANGUAGE_COLUMNS if language else COLUMNS)]
