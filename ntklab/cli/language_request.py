"""`ntklab train --task wikitext`: from options to runs, and from runs to a record."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntklab.cli import console
from ntklab.cli.language_options import Language
from ntklab.cli.parse import parse_numbers, parse_rates, parse_seeds
from ntklab.cli.request import given_fields
from ntklab.errors import InputError
from ntklab.tables import Column, Columns

if TYPE_CHECKING:
    import typer

    from ntklab.records import Record
    from ntklab.sweeps.language_config import LanguageConfig

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
        from ntklab.files import write_text
        from ntklab.sweeps.language_markdown import language_markdown

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
    from ntklab.sweeps.language_table import table3_configs

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
    from ntklab.sweeps.language_config import LanguageConfig
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
        KeyboardInterrupt: finished runs and the one in hand stay on disk.
    """
    from ntklab.experiments.executors import torch_threads
    from ntklab.records import RunFolder, collect, now
    from ntklab.sweeps.language_run import language_record, run_languages

    out: Path | None = options.get("out")
    configs = language_configs(options)
    if options.get("table"):
        options = TABLE | dict(options)
    rates = parse_rates(options["rates"]) if options.get("rates") else ()
    threads = options.get("threads")
    started, start = now(), time.perf_counter()
    with torch_threads(threads), _progress(len(configs)) as progress:
        source = _read_texts(configs[0], progress)
        config = language_run_config(configs, rates, source)
        folder = None if out is None else RunFolder(out, config, force=bool(options.get("force")))
        runs = run_languages(configs, rates=rates, folder=folder, progress=progress.update)
    provenance = collect(
        device=configs[0].compute.device,
        dtype=configs[0].compute.dtype,
        threads=threads,
        started=started,
        seconds=time.perf_counter() - start,
    )
    record = language_record(runs, config=config, provenance=provenance)
    if out is not None:
        record.write(out)
    return record


def language_run_config(
    configs: Sequence["LanguageConfig"], rates: Sequence[float], source: Mapping[str, Any]
) -> dict[str, Any]:
    """The configuration of a whole run: what its runs share, their variants, and the texts."""
    told = [config.to_dict() for config in configs]
    common = {k: v for k, v in told[0].items() if all(one[k] == v for one in told)}
    return {
        **common,
        "variants": list(dict.fromkeys(config.variant for config in configs)),
        "seeds": list(dict.fromkeys(config.compute.seed for config in configs)),
        "rates": list(rates),
        "source": dict(source),
    }


class _Progress:
    """Two bars on stderr: texts or updates of the run in hand, and runs; silent where unwatched."""

    def __init__(self, bar: Any, runs: int) -> None:
        self.bar, self.done, self.current = bar, 0, None
        if bar is not None:
            self.inner = bar.add_task("texts", total=None)
            self.outer = bar.add_task("runs", total=runs)

    def texts(self, done: int, total: int) -> None:
        """Tokens that the model has read."""
        if self.bar is not None:
            self.bar.update(self.inner, description="tokens read", completed=done, total=total)

    def update(self, config: Any, step: int, total: int) -> None:
        """Updates of a run."""
        if self.bar is None:
            return
        words = f"{config.variant}, {config.purpose}, seed {config.compute.seed}"
        self.bar.update(self.inner, description=words, completed=step, total=total)
        if step >= total and config.purpose == "measure":
            self.bar.advance(self.outer)


@contextmanager
def _progress(runs: int) -> Iterator[_Progress]:
    import sys

    if not sys.stderr.isatty():
        yield _Progress(None, runs)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=Console(stderr=True), transient=True) as bar:
        yield _Progress(bar, runs)


def _read_texts(config: "LanguageConfig", progress: _Progress) -> Mapping[str, Any]:
    from ntklab.sweeps.language import language_data

    return language_data(config, progress.texts).source


def print_language(record: "Record", form: str, *, table: bool) -> None:
    """The result on stdout: rows of runs, or with `table` the table and its sentences."""
    import sys

    from ntklab.records import Record
    from ntklab.sweeps.language_table import baseline_sentence, claim_verdict, language_table

    if not table or form in console.DATA:
        console.print_record(record, form, COLUMNS)
        return
    rows = language_table(record)
    shown = Record("train", record.config, record.provenance, [r | {"reason": None} for r in rows])
    console.print_record(shown, form, TABLE_COLUMNS)
    if form == "table":
        sys.stdout.write(f"{claim_verdict(record)}\n{baseline_sentence(record)}\n")
