"""`ntklab train --task wikitext`: from options to runs, and from a record to what is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ntklab.cli import console
from ntklab.cli.convert import Settings
from ntklab.cli.groups import option
from ntklab.cli.options import Run, ShowWithPlot, check_page
from ntklab.cli.parse import parse_numbers, parse_rates
from ntklab.errors import InputError
from ntklab.experiments.grid import Grid
from ntklab.experiments.training.config import PairConfig
from ntklab.experiments.training.language_config import LanguageConfig
from ntklab.tables import Column, Columns

if TYPE_CHECKING:
    from ntklab.experiments.run import Experiment
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

_SHARED = {*PairConfig.flat_fields()} & {*LanguageConfig.flat_fields()}
_COUNTED = ("train_windows", "valid_windows", "test_windows")

#: What only a language model's last layer has a use for; the rest is shared with other heads.
LANGUAGE = Settings(
    LanguageConfig,
    without=(*_SHARED, *_COUNTED, "schedule", "purpose"),
    defaults=dict.fromkeys(LanguageConfig.flat_fields()) | {"keep_logits": False},
)


@dataclass(frozen=True, kw_only=True)
class Language:
    """Options of a language model's last layer that are no settings of a run."""

    windows: Annotated[
        str | None,
        _option("--windows TRAIN,VALID,TEST", "How many; 16,4,8 when left out."),
    ] = None
    rates: Annotated[str | None, _option("--rates R1,R2,..", "Choose the rate by validation.")] = (
        None
    )
    table: Annotated[int | None, _option("--table 3", "All rows of the paper's table 3.")] = None
    quick: Annotated[bool, _option("--quick", "Few windows and updates: minutes.")] = False
    markdown: Annotated[
        Path | None,
        _option("--markdown FILE.md", "Write the table with its sentences.", callback=check_page),
    ] = None


_OWN = (*(field.name for field in fields(Language)), *(one.name for one in LANGUAGE.options()))
_IDLE = (
    *("data_condition", "images", "backbone", "backbone_weights", "samples", "loss", "epochs"),
    *("latent", "watched", "end_to_end"),
)


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
    """What was asked for, of the shared options and of its own, without other tasks' defaults."""
    given = {k: v for k, v in heads.given.items() if k in _SHARED and _given(ctx, k)}
    axes = {key: values for key, values in heads.axes.items() if _given(ctx, key)}
    return Grid(LanguageConfig, {**given, **words.given}, axes)


def run_language_command(
    grid: Grid[LanguageConfig], language: Language, run: Run, show: ShowWithPlot
) -> None:
    """Train, then table, page and figure, as far as the options ask for them."""
    from ntklab.experiments.training.cells import TABLE3_RATES, language_cells
    from ntklab.experiments.training.experiment import language as experiment_of

    given = {**grid.given, **_windows(language.windows)}
    methods, seeds = (grid.axes.get(axis, ()) for axis in ("method", "seed"))
    cells = language_cells(given, methods, seeds, table=language.table, quick=language.quick)
    rates: tuple[float, ...] = TABLE3_RATES if language.table else ()
    rates = parse_rates(language.rates) if language.rates else rates
    if run.dry_run:
        console.write_line(
            f"{len(cells)} runs of a language model's last layer, searches not counted."
        )
        return
    if language.table and run.threads is None:  # heads are small
        run = replace(run, threads=1)
    record = _record(experiment_of(rates), cells, run)
    if language.markdown is not None:
        from ntklab.experiments.training.language_markdown import language_markdown
        from ntklab.files import write_text

        write_text(language.markdown, language_markdown(record))
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


def _record(
    experiment: "Experiment[LanguageConfig]", cells: Sequence[LanguageConfig], run: Run
) -> "Record":
    from ntklab.experiments.training.language_cell import language_data

    with console.progress_bar() as bar:  # reading takes minutes
        language_data(cells[0], bar and (lambda done, total: bar(done, total, None)))
    return console.run(experiment, cells, run)


def print_language(record: "Record", form: str, *, table: bool) -> None:
    """The result on stdout: rows of runs, or with `table` the table and its sentences."""
    import sys

    from ntklab.experiments.training.language_table import (
        baseline_sentence,
        claim_verdict,
        language_table,
    )
    from ntklab.records import Record

    if not table or form in console.DATA:
        console.print_record(record, form, COLUMNS)
        return
    rows = language_table(record)
    shown = Record("train", record.config, record.provenance, [r | {"reason": None} for r in rows])
    console.print_record(shown, form, TABLE_COLUMNS)
    if form == "table":
        sys.stdout.write(f"{claim_verdict(record)}\n{baseline_sentence(record)}\n")
