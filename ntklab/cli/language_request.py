"""`ntklab train --task wikitext`: from options to runs, and from runs to a record."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ntklab.cli import console
from ntklab.cli.language_options import Language
from ntklab.cli.options import Run
from ntklab.cli.parse import parse_numbers, parse_rates, parse_seeds
from ntklab.cli.request import given_fields
from ntklab.errors import InputError
from ntklab.tables import Column, Columns

if TYPE_CHECKING:
    import typer

    from ntklab.experiments.training.language_config import LanguageConfig
    from ntklab.records import Record

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

#: What --quick asks for where the command line does not: one pass over 8 windows.
QUICK: dict[str, Any] = {
    **{"windows": "8,2,4", "steps": 64, "batch": 128, "look": 32},
    **{"keep_logits": True, "chunk": 32},  # logits that stay near the cores: 6 MB at a time
}

#: What --table 3 asks for: the same run, its rate searched, one thread (heads are small).
TABLE: dict[str, Any] = QUICK | {"rates": "1e-3,3e-3,1e-2", "threads": 1}

_OWN = tuple(one.name for one in fields(Language))
_IDLE = (
    *("data_condition", "images", "backbone", "backbone_weights", "samples", "loss", "epochs"),
    *("latent", "watched", "end_to_end"),
)


def refuse_misplaced(ctx: "typer.Context") -> None:
    """Refuse options that the chosen task has no use for, rather than read past them.

    Raises:
        InputError: naming the first such option.
    """
    task = ctx.params["task"]
    names = _IDLE if task == LANGUAGE_TASK else _OWN
    for name in names:
        if name in ctx.params and _given(ctx, name):
            option = {"samples": "samples (see --windows)"}.get(name, name).replace("_", "-")
            raise InputError(f"--{option} has no meaning for --task {task}: leave it out.")


def _given(ctx: "typer.Context", name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name not in ("DEFAULT",)


def given_options(ctx: "typer.Context") -> dict[str, Any]:
    """The options of the command line and of its file, without defaults meant for other tasks."""
    return {name: value for name, value in ctx.params.items() if _given(ctx, name)}


def run_language_command(ctx: "typer.Context") -> None:
    """Train, then table, page and figure, as far as the options ask for them."""
    options = given_options(ctx)
    record = train_language(options)
    if options.get("markdown") is not None:
        from ntklab.experiments.training.language_markdown import language_markdown
        from ntklab.files import write_text

        write_text(options["markdown"], language_markdown(record))
    if options.get("plot") is not None:
        from ntklab.figures import save_figure
        from ntklab.figures.language import perplexity_figure

        figure, rows = perplexity_figure(record)
        for path in save_figure(figure, options["plot"], rows):
            console.note(f"wrote {path}")
    print_language(record, ctx.params["form"], table=bool(options.get("table")))


def language_configs(options: Mapping[str, Any]) -> list["LanguageConfig"]:
    """A run for each method and seed, or all of Table 3.

    Args:
        options: those that were given.

    Raises:
        InputError: for words and numbers that mean nothing.
    """
    from ntklab.adapters import METHODS
    from ntklab.cli.parse import parse_words
    from ntklab.experiments.training.language_table import table3_configs

    table = options.get("table")
    if table not in (None, 3):
        raise InputError(f"--table {table}: --task wikitext has table 3; see ntklab pair --help.")
    if table is not None:
        _refuse_with_table(options)
    options = (TABLE if table else QUICK if options.get("quick") else {}) | dict(options)
    methods = parse_words("method", options.get("method") or ["tensorguide"], METHODS, "all")
    seeds = parse_seeds(options.get("seeds") or ("0:3" if table else "0"))
    base = _base_config(options, methods[0])
    if table is not None:
        return table3_configs(base, seeds)
    cells = [base] if len(methods) == 1 else [base.for_method(method) for method in methods]
    return [one.with_(seed=seed) for one in cells for seed in seeds]


def _refuse_with_table(options: Mapping[str, Any]) -> None:
    decided = ("method", "width", "rank", "tt_ranks", "in_dims", "out_dims", "budget", "head")
    for name in (*decided, "preset", "quick", "lr"):
        if options.get(name):
            raise InputError(f"--{name.replace('_', '-')} is decided by --table 3: leave it out.")


def _base_config(options: Mapping[str, Any], method: str) -> "LanguageConfig":
    from ntklab.experiments.training.language_config import LanguageConfig
    from ntklab.tasks.wikitext import default_model, default_text

    text = options.get("data") or default_text()
    found = {"data": text, "model": options.get("model") or default_model()}
    given = given_fields(LanguageConfig, {**options, **found})
    return LanguageConfig.of(**given | _windows(options.get("windows")) | {"method": method})


def _windows(text: str | None) -> dict[str, int]:
    numbers = parse_numbers("windows", text)
    if numbers is None:
        return {}
    if len(numbers) != 3:
        raise InputError(f"--windows {text} must be three counts: train, valid, test, e.g. 16,4,8.")
    return dict(zip(("train_windows", "valid_windows", "test_windows"), numbers, strict=True))


def train_language(options: Mapping[str, Any]) -> "Record":
    """Compute (or resume) what the options ask for; the record is written if a folder is given.

    Raises:
        InputError: for options, models or texts that do not fit, or a folder of another run.
        Stopped: after Ctrl-C; finished runs and the one in hand stay on disk.
    """
    from ntklab.experiments.training.experiment import language
    from ntklab.experiments.training.language_cell import language_data

    configs = language_configs(options)
    if options.get("table"):
        options = TABLE | dict(options)
    rates = parse_rates(options["rates"]) if options.get("rates") else ()
    how = Run(**{name: options[name] for name in ("out", "force", "threads") if name in options})
    with console.progress_bar() as bar:  # reading takes minutes
        language_data(configs[0], bar and (lambda done, total: bar(done, total, None)))
    return console.run(language(tuple(rates)), configs, how)


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
