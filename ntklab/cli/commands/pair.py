"""`ntklab pair`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ntklab.cli import console, prompts
from ntklab.cli import options as opt
from ntklab.cli import training_options as own
from ntklab.cli.by_task import ByTask
from ntklab.cli.groups import option
from ntklab.errors import InputError
from ntklab.experiments.grid import Grid
from ntklab.experiments.planned import PLANNERS
from ntklab.experiments.training.prompt.config import PromptConfig
from ntklab.tables import Column, Columns

if TYPE_CHECKING:
    from ntklab.records import Record

COLUMNS: Columns = {
    "settings": "settings",
    "variant": "variant",
    "params": "P",
    "params_with_conv1": Column("with conv1", 4),
    "seeds": Column("seeds", 3),
    "noisy_accuracy": Column("noisy", interval=True),
    "clean_accuracy": "clean",
    "test_accuracy": Column("test", 2),
    "train_accuracy": Column("train", 2),
    "gap": Column("gap", 1),
    "prediction_error": "pred. error",
    "drift_max": "drift",
    "in_regime": "NTK regime",
    "steps_per_second": Column("steps/s", 5),
}

# A table of its own: beside the others they would not fit a terminal.
BOUNDS: Columns = {
    "settings": "settings",
    "variant": "variant",
    "fit_bound": "R_S, closed form",
    "fit_bound_vacuous": "vacuous",
    "rademacher": "R_S, sampled",
    "rademacher_vacuous": "vacuous",
    "fit_risk_bound": "risk",
    "rademacher_risk_bound": "risk, sampled",
    "effective_parameters": "P_eff",
    "compression_bits": "bits",
    "compression_bound": "error by counting",
    "compression_bound_vacuous": "vacuous",
    "compressed_test_error": "rounded, test error",
}


SETTINGS = ByTask(
    own.settings(
        axes=("method", "seed"),
        without=("optimizer", "loss", "lr", "latent", "alpha", "predict", "steps"),
        defaults={
            **{"method": ["all"], "seed": None, "settings": "both"},
            **{"batch": None, "rates": None, "watched": None},
        },
        settings=("both",),
        task=(prompts.TASK,),
    ),
    prompts.SETTINGS,
    prompts.TASK,
    first_alone=("matched", "released", "table", "markdown", "plot"),
)


def pair(
    grid: Annotated[Grid[Any], SETTINGS],
    *,
    matched: Annotated[bool, option("--matched", "The same as --settings matched.")] = False,
    released: Annotated[bool, option("--released", "The same as --settings released.")] = False,
    table: Annotated[
        int | None, option("--table 1|2|5", "The paper's table: methods, widths or TT-ranks.")
    ] = None,
    panel: Annotated[
        str,
        option(
            "--panel NAME",
            "Prompts: methods, or layers, shapes or sharing of one.",
            words=("methods", "layers", "shapes", "sharing"),
        ),
    ] = "methods",
    quick: Annotated[
        bool, option("--quick", "Few seeds, images and rates: about a minute.")
    ] = False,
    finished: Annotated[
        bool, option("--finished", "Prompts: the record of what --out has; computes nothing.")
    ] = False,
    run: own.RunAnywhere,
    show: opt.ShowWithPlot,
    markdown: own.Markdown = None,
) -> None:
    """Train methods alike and as released, and set each beside the prediction of its kernel.

    Ten seeds unless --seeds names others. --task prompt fine-tunes a language model on sentences.

    \b
    Examples:
      ntklab pair --table 2 --seeds 0:10 --out runs/widths --markdown widths.md
      ntklab pair --task prompt --data films.tsv --rating-column rating --quick
    """
    show.check()
    if grid.kind is PromptConfig:
        record = prompts.run_panel(grid, panel=panel, quick=quick, run=run, finished=finished)
        if record is not None:
            console.print_result(record, show.form, tables(record))
        return
    if panel != "methods":
        raise InputError(f"--panel {panel} needs --task prompt; --table chooses a table of heads.")
    if finished:
        raise InputError("--finished needs --task prompt.")
    own.one_blas_thread()
    from ntklab.experiments.training.markdown import table_markdown
    from ntklab.files import write_text

    given = dict(grid.given)
    if matched != released:
        word = "matched" if matched else "released"
        if given.get("settings", "both") not in ("both", word):
            raise InputError(
                f"--{word} and --settings {given['settings']} exclude each other: give one of them."
            )
        given["settings"] = word
    grid = replace(grid, given=given)
    experiment, cells = PLANNERS["pair"].make(grid, table=table or 1, quick=quick)
    if run.dry_run:
        console.print_plan(experiment, cells)
        return
    record = own.run_pairs(experiment, cells, run)
    if show.plot is not None:
        draw_curves(record, show.plot)
    if markdown is not None:
        write_text(markdown, table_markdown(record, table))
    console.print_result(record, show.form, tables(record))
    if show.form == "table":
        for sentence in _sentences(record):
            console.write_line(sentence)


def tables(record: "Record") -> list[console.Shown]:
    """The table of accuracies, and a second one of bounds: one alone would not fit a terminal."""
    from ntklab.experiments.training.table import PROMPTS, layout_of, training_table

    rows = training_table(record)
    if layout_of(record) is PROMPTS:
        return [(rows, prompts.COLUMNS)]
    return [(rows, COLUMNS), (rows, BOUNDS)]


def draw_curves(record: "object", plot: Path) -> None:
    """The training curves of a record."""
    from ntklab.figures import save_figure
    from ntklab.figures.training import curves_figure

    figure, table = curves_figure(record)  # type: ignore[arg-type]
    for path in save_figure(figure, plot, table):
        console.note(f"wrote {path}")


def _sentences(record: "object") -> list[str]:
    from ntklab.experiments.training.evidence import evidence_sentences, regime_sentence

    return [*evidence_sentences(record), regime_sentence(record)]  # type: ignore[arg-type]
