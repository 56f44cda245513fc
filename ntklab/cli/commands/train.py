"""`ntklab train`."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli import training_options as own
from ntklab.cli.by_task import ByTask
from ntklab.cli.convert import Settings
from ntklab.cli.groups import option
from ntklab.cli.parse import parse_numbers
from ntklab.errors import InputError
from ntklab.experiments.grid import Grid
from ntklab.experiments.training.heads.config import TRAIN_OPTIONS
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
LANGUAGE_COLUMNS: Columns = {
    "variant": "variant",
    "purpose": "purpose",
    "seed": "seed",
    "params": "P",
    "lr": "lr",
    "steps": "steps",
    "best_step": "kept at",
    "valid_perplexity": "valid ppl",
    "test_perplexity": "test ppl",
    "baseline_perplexity": "frozen ppl",
    "tokens_per_second": Column("tokens/s", 1),
    "seconds": Column("s", 2),
    "reason": "reason",
}
TABLE_3: Columns = {
    "variant": "variant",
    "params": "P",
    "lr": "lr",
    "seeds": "seeds",
    "valid_perplexity": "valid ppl",
    "test_loss": "test loss",
    "test_perplexity": Column("test ppl", interval=True),
    "against_frozen": "less frozen",
}

LANGUAGE_TASK = "wikitext"

#: Counts of windows, for which --windows stands.
_COUNTED = ("train_windows", "valid_windows", "test_windows")

SETTINGS = ByTask(
    own.settings(
        axes=("method", "seed"),
        without=("alpha", "rates", "settings", "predict"),
        defaults={"method": ["tensorguide"], **TRAIN_OPTIONS},
    ),
    Settings(LanguageConfig, axes=("method", "seed"), without=_COUNTED),
    LANGUAGE_TASK,
    first_alone=("end_to_end",),
    second_alone=("windows", "table", "quick", "markdown"),
    instead={"samples": "--windows"},
)
_of_language = partial(option, heading="Language model")


def train(
    grid: Annotated[Grid[Any], SETTINGS],
    *,
    end_to_end: Annotated[
        bool, option("--end-to-end", "Through the backbone with conv1 trained, as released.")
    ] = False,
    windows: Annotated[
        str | None,
        _of_language("--windows TRAIN,VALID,TEST", "How many; 16,4,8 when left out."),
    ] = None,
    table: Annotated[
        int | None, _of_language("--table 3", "All rows of the paper's table 3.")
    ] = None,
    quick: Annotated[bool, _of_language("--quick", "Few windows and updates: minutes.")] = False,
    run: own.Run,
    show: opt.ShowWithPlot,
    markdown: own.Markdown = None,
) -> None:
    """Train each method at each seed: losses, accuracies on clean and noisy images, gaps.

    --end-to-end runs the released script instead: batch, rate and start are its own.
    --task wikitext trains the last layer of a language model and measures perplexity.

    \b
    Examples:
      ntklab train --method tensorguide --task quantum-dot --seeds 0:3
      ntklab train --task wikitext --method tensorguide --width 4 --quick --out runs/words
    """
    show.check()
    if grid.kind is LanguageConfig:
        grid = replace(grid, given={**grid.given, **_windows(windows)})
        _train_language(grid, table, quick=quick, run=run, show=show, markdown=markdown)
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


def _train_language(
    grid: Grid[LanguageConfig],
    table: int | None,
    *,
    quick: bool,
    run: own.Run,
    show: opt.ShowWithPlot,
    markdown: Path | None,
) -> None:
    """Train, then table, page and figure, as far as the options ask for them."""
    from ntklab.experiments.training.cells import language_cells
    from ntklab.experiments.training.experiment import LANGUAGE
    from ntklab.experiments.training.markdown import table_markdown
    from ntklab.files import write_text

    methods, seeds = (grid.axes.get(axis, ()) for axis in ("method", "seed"))
    cells = language_cells(grid.given, methods, seeds, table=table, quick=quick)
    if run.dry_run:  # the record's configuration would need the texts
        console.write_line(" ".join(LANGUAGE.plan(cells).sentences))
        return
    if table and run.threads is None:  # heads are small
        run = replace(run, threads=1)
    _read_texts(cells[0])
    record = console.run(LANGUAGE, cells, run)
    if markdown is not None:
        write_text(markdown, table_markdown(record))
    if show.plot is not None:
        from ntklab.figures import save_figure
        from ntklab.figures.language import perplexity_figure

        figure, rows = perplexity_figure(record)
        for path in save_figure(figure, show.plot, rows):
            console.note(f"wrote {path}")
    _print_language(record, show.form, table=bool(table))


def _windows(text: str | None) -> dict[str, int]:
    numbers = parse_numbers("windows", text)
    if numbers is None:
        return {}
    if len(numbers) != 3:
        raise InputError(f"--windows {text} must be three counts: train, valid, test, e.g. 16,4,8.")
    return dict(zip(_COUNTED, numbers, strict=True))


def _read_texts(config: LanguageConfig) -> None:
    """Hidden states of the texts, with a bar: reading takes minutes."""
    from ntklab.experiments.training.language.cell import language_data

    with console.progress_bar() as bar:
        language_data(config, bar and (lambda done, total: bar(done, total, None)))


def _print_language(record: "Record", form: str, *, table: bool) -> None:
    """The result on stdout: rows of runs, or with `table` the table and its sentences."""
    from ntklab.experiments.training.evidence import baseline_sentence, judged_by, pairs_sentence
    from ntklab.experiments.training.table import training_table

    columns = [(training_table(record), TABLE_3)] if table else [(record.results, LANGUAGE_COLUMNS)]
    console.print_result(record, form, columns)
    if table and form == "table":
        for sentence in (judged_by(3), pairs_sentence(record), baseline_sentence(record)):
            console.write_line(sentence)


def tables(record: "Record") -> list[console.Shown]:
    """The table of measured runs, of heads or of a language model's last layer."""
    language = any("test_perplexity" in row for row in record.results)
    return [(record.results, LANGUAGE_COLUMNS if language else COLUMNS)]
