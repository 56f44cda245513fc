"""`ntklab train --task wikitext`: from options to runs, and from a record to what is shown."""

from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntklab.cli import console
from ntklab.cli.convert import Settings
from ntklab.cli.groups import option
from ntklab.cli.options import Run, ShowWithPlot, check_page
from ntklab.cli.parse import parse_numbers
from ntklab.errors import InputError
from ntklab.experiments.grid import Grid
from ntklab.experiments.training.heads.config import PairConfig
from ntklab.experiments.training.language.config import LanguageConfig
from ntklab.tables import Column, Columns

if TYPE_CHECKING:
    from ntklab.records import Record

_option = partial(option, heading="Language model")

LANGUAGE_TASK = "wikitext"

COLUMNS: Columns = {
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
TABLE_COLUMNS: Columns = {
    "variant": "variant",
    "params": "P",
    "lr": "lr",
    "seeds": "seeds",
    "valid_perplexity": "valid ppl",
    "test_loss": "test loss",
    "test_perplexity": Column("test ppl", interval=True),
    "against_frozen": "less frozen",
}

_HEADS, _WORDS = PairConfig.flat_fields(), LanguageConfig.flat_fields()
_SHARED = {*_HEADS} & {*_WORDS} - {"rates"}  # a measured run of heads takes one rate
_COUNTED = ("train_windows", "valid_windows", "test_windows")

#: What only a language model's last layer has a use for; the rest is shared with other heads.
LANGUAGE = Settings(
    LanguageConfig,
    without=(*_SHARED, *_COUNTED, "schedule", "purpose"),
    defaults=dict.fromkeys(_WORDS) | {"keep_logits": False},
)


@dataclass(frozen=True, kw_only=True)
class Language:
    """Options of a language model's last layer that are no settings of a run."""

    windows: Annotated[
        str | None,
        _option("--windows TRAIN,VALID,TEST", "How many; 16,4,8 when left out."),
    ] = None
    table: Annotated[int | None, _option("--table 3", "All rows of the paper's table 3.")] = None
    quick: Annotated[bool, _option("--quick", "Few windows and updates: minutes.")] = False
    markdown: Annotated[
        Path | None,
        _option("--markdown FILE.md", "Write the table with its sentences.", callback=check_page),
    ] = None


_OWN = (*(field.name for field in fields(Language)), *(one.name for one in LANGUAGE.options()))
_IDLE = (*(key for key in _HEADS if key not in (*_WORDS, "task")), "end_to_end")


def refuse_misplaced(ctx: typer.Context) -> None:
    """Refuse options that the chosen task has no use for, rather than read past them.

    Raises:
        InputError: naming the first such option.
    """
    task = ctx.params["task"]
    names = _IDLE if task == LANGUAGE_TASK else _OWN
    for name in names:
        if name in ctx.params and _given(ctx, name):
            shown = {"samples": "samples (see --windows)"}.get(name, name).replace("_", "-")
            raise InputError(f"--{shown} has no meaning for --task {task}: leave it out.")


def _given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name not in ("DEFAULT",)


def asked(
    ctx: typer.Context, heads: Grid[PairConfig], words: Grid[LanguageConfig]
) -> Grid[LanguageConfig]:
    """The settings given by shared options and by its own, without other tasks' defaults."""
    given = {k: v for k, v in heads.given.items() if k in _SHARED and _given(ctx, k)}
    own = {key: value for key, value in words.given.items() if _given(ctx, key)}
    axes = {key: values for key, values in heads.axes.items() if _given(ctx, key)}
    return Grid(LanguageConfig, {**given, **own}, axes)


def run_language_command(
    grid: Grid[LanguageConfig], language: Language, run: Run, show: ShowWithPlot
) -> None:
    """Train, then table, page and figure, as far as the options ask for them."""
    from ntklab.experiments.training.cells import language_cells
    from ntklab.experiments.training.experiment import LANGUAGE as EXPERIMENT
    from ntklab.experiments.training.markdown import table_markdown
    from ntklab.files import write_text

    given = {**grid.given, **_windows(language.windows)}
    methods, seeds = (grid.axes.get(axis, ()) for axis in ("method", "seed"))
    cells = language_cells(given, methods, seeds, table=language.table, quick=language.quick)
    if run.dry_run:  # the record's configuration would need the texts
        console.write_line(" ".join(EXPERIMENT.plan(cells).sentences))
        return
    if language.table and run.threads is None:  # heads are small
        run = replace(run, threads=1)
    _read_texts(cells[0])
    record = console.run(EXPERIMENT, cells, run)
    if language.markdown is not None:
        write_text(language.markdown, table_markdown(record))
    if show.plot is not None:
        from ntklab.figures import save_figure
        from ntklab.figures.language import perplexity_figure

        figure, rows = perplexity_figure(record)
        for path in save_figure(figure, show.plot, rows):
            console.note(f"wrote {path}")
    print_language(record, show.form, table=bool(language.table))


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


def print_language(record: "Record", form: str, *, table: bool) -> None:
    """The result on stdout: rows of runs, or with `table` the table and its sentences."""
    from ntklab.experiments.training.evidence import baseline_sentence, judged_by, pairs_sentence
    from ntklab.experiments.training.table import training_table

    columns = [(training_table(record), TABLE_COLUMNS)] if table else [(record.results, COLUMNS)]
    console.print_result(record, form, columns)
    if table and form == "table":
        for sentence in (judged_by(3), pairs_sentence(record), baseline_sentence(record)):
            console.write_line(sentence)
