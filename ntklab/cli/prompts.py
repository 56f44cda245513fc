"""`--task prompt` of `pair` and `dynamics`: from options to runs, and what is shown."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ntklab.cli import console
from ntklab.cli.convert import Settings
from ntklab.cli.options import Run
from ntklab.errors import InputError
from ntklab.experiments.grid import Grid
from ntklab.experiments.training.prompt.config import STAND_INS, PromptConfig
from ntklab.tables import Column, Columns

if TYPE_CHECKING:
    from ntklab.records import Record

TASK = "prompt"

OPTIMIZERS = ("adam", "sgd")

COLUMNS: Columns = {
    "variant": "variant",
    "params": "P",
    "seeds": Column("seeds", 3),
    "lambda_min_over_mean": Column("λ_min/mean", 2),
    "condition": Column("condition", 2),
    "kernel_target_alignment": Column("alignment", 3),
    "zero_shot_accuracy": Column("start", 2),
    "predicted_accuracy": "predicted",
    "accuracy_adam": Column("Adam", interval=True),
    "accuracy_sgd": Column("SGD", interval=True),
    "steps_adam": Column("steps", 4),
    "drift_adam": Column("drift", 2),
    "seconds_adam": Column("s", 5),
}
CURVES: Columns = {
    "step": "step",
    "train_loss": "train loss",
    "predicted_train_loss": "predicted",
    "test_loss": "test loss",
    "predicted_test_loss": "predicted",
    "test_accuracy": "test",
    "predicted_test_accuracy": "predicted",
    "drift": "drift",
    "linearization_error": "lin. error",
}

#: The options of prompts. A name of a method without sizes has those of the panel.
SETTINGS = Settings(
    PromptConfig,
    axes=("seed",),
    without=("predict", "preset"),
    words={"optimizer": ("both",), "method": tuple(STAND_INS)},
)


def run_panel(
    grid: Grid[PromptConfig],
    *,
    panel: str = "methods",
    quick: bool,
    run: Run,
    finished: bool = False,
) -> "Record | None":
    """The record of a panel, or of what is finished of it; None after --dry-run."""
    from ntklab.experiments import partial
    from ntklab.experiments.training.prompt.cells import prompt_cells
    from ntklab.experiments.training.prompt.experiment import PROMPT

    methods, seeds = methods_of(grid) or ["all"], grid.axes.get("seed", ())
    cells = prompt_cells(grid.given, methods, seeds, panel=panel, quick=quick)
    if run.dry_run:
        console.print_plan(PROMPT, cells)
        return None
    if finished:
        if run.out is None:
            raise InputError("--finished reads the runs of a folder: name it with --out DIR.")
        return partial.finished(PROMPT, cells, run.out, threads=run.threads)
    read_first(cells)
    return console.run(PROMPT, cells, run)


def methods_of(grid: Grid[PromptConfig]) -> list[str]:
    """The words of `--method`, as they were given."""
    words = grid.given.get("method", [])
    return [words] if isinstance(words, str) else list(words)


def read_first(cells: list[PromptConfig]) -> None:
    """Refuse bad data before the first cell, and show how far reading is."""
    from ntklab.experiments.training.prompt.cell import prompt_task

    with console.progress_bar() as bar:
        prompt_task(cells[0], bar and (lambda done, total: bar(done, total, None)))


def curve_tables(record: "Record") -> list[console.Shown]:
    """The curves of every run and optimizer."""
    from ntklab.experiments.training.prompt.table import curve_table

    return [
        (curve_table(record, row[f"cell_{optimizer}"], optimizer), CURVES)
        for row in record.results
        for optimizer in OPTIMIZERS
        if row.get(f"cell_{optimizer}")
    ]


def certificate_sentence(row: Mapping[str, Any]) -> str:
    """Whether the runs of a row stayed in the NTK regime, and why."""
    parts = []
    for optimizer in OPTIMIZERS:
        if (valid := row.get(f"ntk_regime_{optimizer}")) is not None:
            word = "yes" if valid else "no"
            because = row[f"ntk_regime_because_{optimizer}"]
            parts.append(f"{optimizer}: NTK regime: {word}, because {because}.")
    return f"{row['variant']}, seed {row['seed']}: {' '.join(parts) or 'nothing was watched.'}"
