"""`--task prompt` of `pair` and `dynamics`: from options to runs, and what is shown."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from ntklab.cli import console
from ntklab.cli.convert import Settings
from ntklab.cli.options import Run
from ntklab.errors import InputError
from ntklab.experiments.grid import Grid
from ntklab.experiments.training.heads.config import PairConfig
from ntklab.experiments.training.prompt.config import STAND_INS, PromptConfig
from ntklab.tables import Column, Columns

if TYPE_CHECKING:
    from ntklab.records import Record

PROMPT_TASK = "prompt"

OPTIMIZERS = ("adam", "sgd")

#: Methods that only a language model with prompts has.
PROMPT_METHODS = tuple(STAND_INS)

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

_PAIR, _PROMPT = set(PairConfig.flat_fields()), set(PromptConfig.flat_fields())
_OWN = {"predict", "preset"}


def prompt_settings(heads: Settings) -> Settings:
    """The options that prompts have beside those of a command's heads, none with a default."""
    known = {parameter.name for parameter in heads.options()}
    return Settings(
        PromptConfig,
        without=(*(known & _PROMPT), *_OWN),
        defaults=dict.fromkeys(_PROMPT),
        words={"optimizer": ("both",)},
    )


def refuse_strangers(ctx: typer.Context, prompts: Settings, idle: tuple[str, ...]) -> None:
    """Refuse options that the chosen task has no use for, rather than read past them.

    Args:
        ctx: of the command.
        prompts: what only prompts use.
        idle: what only heads use.

    Raises:
        InputError: naming the first such option.
    """
    task = ctx.params["task"]
    names = idle if task == PROMPT_TASK else [one.name for one in prompts.options()]
    for name in names:
        if name in ctx.params and given(ctx, name):
            raise InputError(
                f"--{name.replace('_', '-')} has no meaning for --task {task}: leave it out."
            )


def given(ctx: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line or in the file of options."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name not in ("DEFAULT",)


def asked(
    ctx: typer.Context, heads: Grid[PairConfig], prompts: Grid[PromptConfig]
) -> dict[str, Any]:
    """Settings of the prompts, from shared options and their own, without defaults of heads."""
    shared = {k: v for k, v in heads.given.items() if k in _PROMPT and given(ctx, k)}
    return {**shared, **prompts.given}


def run_panel(
    ctx: typer.Context,
    settings: Mapping[str, Any],
    seeds: tuple[int, ...] | list[int],
    *,
    panel: str = "methods",
    quick: bool,
    run: Run,
) -> "Record | None":
    """The record of a panel; None after --dry-run."""
    from ntklab.experiments.training.prompt.cells import prompt_cells
    from ntklab.experiments.training.prompt.experiment import PROMPT

    methods = ctx.params["method"] or ["all"]
    methods = [methods] if isinstance(methods, str) else methods
    cells = prompt_cells(settings, methods, seeds, panel=panel, quick=quick)
    if run.dry_run:
        console.print_plan(PROMPT, cells)
        return None
    read_first(cells)
    return console.run(PROMPT, cells, run)


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
    """Whether the kernel at the start may speak of the runs of a row, and why."""
    parts = []
    for optimizer in OPTIMIZERS:
        if (valid := row.get(f"ntk_regime_{optimizer}")) is not None:
            word = "yes" if valid else "no"
            because = row[f"ntk_regime_because_{optimizer}"]
            parts.append(f"{optimizer}: NTK regime: {word}, because {because}.")
    return f"{row['variant']}, seed {row['seed']}: {' '.join(parts) or 'nothing was watched.'}"
