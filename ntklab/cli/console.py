"""The result goes to stdout; progress and notes go to stderr, if somebody watches."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ntklab.errors import unknown
from ntklab.tables import (
    Columns,
    Table,
    holds,
    in_ascii,
    in_latex,
    in_markdown,
    in_terminal,
    table_of,
)

if TYPE_CHECKING:
    from ntklab.cli.options import Run
    from ntklab.configuration import Configuration
    from ntklab.experiments.executors import Progress
    from ntklab.experiments.run import Experiment
    from ntklab.records import Record
    from ntklab.reproduce.progress import Watch

    C = TypeVar("C", bound=Configuration)

_WIDTH_OF_A_PIPE = 200

#: Rows of values with the columns that show them.
Shown = tuple[Sequence[Mapping[str, Any]], Columns]

#: Formats that programs read: every field, no sentences.
DATA = ("json", "csv")


def note(text: str) -> None:
    """A sentence for a person at the terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")


def check_format(name: str) -> str:
    """The output format, if there is one of that name."""
    from ntklab.cli.options import FORMAT_NAMES

    if name not in FORMAT_NAMES:
        raise unknown("format", name, FORMAT_NAMES)
    return name


def print_record(record: "Record", form: str, columns: Columns) -> None:
    """The result of a command on stdout.

    Args:
        record: what was computed.
        form: "table", "markdown" or "latex" (for people, `columns` only), "csv" (every field) or
            "json" (the record).
        columns: field → heading of the table.
    """
    from ntklab.figures import to_csv

    if form == "json":
        write_json(record.to_json())
    elif form == "csv":
        sys.stdout.write(to_csv(record.results))
    else:
        print_table(record.results, columns, form)


def write(text: str) -> None:
    """The result on stdout, as it is."""
    sys.stdout.write(text)


def write_line(text: str) -> None:
    """A line of the result on stdout."""
    sys.stdout.write(f"{text}\n")


def write_json(text: str) -> None:
    """JSON on stdout; letters that its encoding cannot hold as JSON's own escapes."""
    if not holds(sys.stdout.encoding, text):
        text = re.sub(r"[^\x00-\x7f]", lambda letter: json.dumps(letter[0])[1:-1], text)
    sys.stdout.write(text)


def print_result(record: "Record", form: str, tables: Sequence[Shown]) -> None:
    """The result of a command on stdout: the whole record for programs, its tables for people."""
    if form in DATA:
        print_record(record, form, {})
    else:
        print_tables(tables, form)


def print_table(rows: Sequence[Mapping[str, Any]], columns: Columns, form: str = "table") -> None:
    """A table on stdout, in the width of the terminal; columns that no row has are left out."""
    print_tables([(rows, columns)], form)


def print_tables(
    tables: Sequence[Shown],
    form: str = "table",
) -> None:
    """Tables on stdout, an empty line between two; those without rows are left out.

    Args:
        tables: rows with field → heading.
        form: "table", "markdown" or "latex".
    """
    written = [_written(table_of(rows, columns), form) for rows, columns in tables if rows]
    sys.stdout.write("\n".join(written))


def _written(table: Table, form: str) -> str:
    if form == "latex":
        return in_latex(table)
    if form == "markdown":
        return in_markdown(table.headings, table.rows)
    text = in_terminal(table, _width())
    if holds(sys.stdout.encoding, text):
        return text
    return in_ascii(in_terminal(table.with_text(in_ascii), _width()))


def _width() -> int:
    """Places in a line: of the terminal, of COLUMNS, or more than any terminal for a pipe."""
    return shutil.get_terminal_size((_WIDTH_OF_A_PIPE, 24)).columns


def print_plan(experiment: "Experiment[C]", configs: "Sequence[C]") -> None:
    """A plan on stdout: the resolved configuration, a table, and sentences."""
    from ntklab.records import to_json

    plan = experiment.plan(configs)
    write_json(to_json(experiment.described(configs)))
    if plan.rows:
        print_table(plan.rows, {name: name.replace("_", " ") for name in plan.rows[0]})
    for sentence in plan.sentences:
        sys.stdout.write(f"{sentence}\n")


def run(experiment: "Experiment[C]", configs: "Sequence[C]", how: "Run") -> "Record":
    """The record of a run, with its plan and a progress bar on stderr, if somebody watches.

    Raises:
        InputError: for what a configuration, a backend or a folder refuses.
    """
    from ntklab.experiments.run import run

    if sys.stderr.isatty():
        for sentence in experiment.plan(configs).sentences:
            note(sentence)
    with progress_bar() as progress:
        return run(experiment, configs, progress=progress, **how.arguments)


def draw(
    record: "Record", plot: Path, out: Path | None, figure_of: "Callable[[Record], Any]"
) -> "Record":
    """The figure of a record that stands on disk: in the run's folder, or beside the figure.

    Args:
        record: what was computed.
        plot: the name of the figure.
        out: folder of the run, if it has one.
        figure_of: makes a figure with its rows from a record.

    Returns:
        The record as it was read back.
    """
    from ntklab.figures import figure_path, save_figure
    from ntklab.records import Record

    stem = figure_path(plot)
    written = out / "record.json" if out is not None else record.write(stem.parent, stem.name)
    read = Record.read(written)
    figure, table = figure_of(read)
    for path in save_figure(figure, plot, table):
        note(f"wrote {path}")
    return read


@contextmanager
def progress_bar() -> Iterator["Progress | None"]:
    """A progress bar over cells on stderr; None where nobody watches."""
    with _bar(counted=True) as move:
        yield move and (lambda done, total, config: move(done, total, _in_hand(config)))


@contextmanager
def records_bar() -> Iterator["Watch | None"]:
    """One progress bar over many records on stderr; None where nobody watches."""
    with _bar(counted=False) as move:
        yield move and (
            lambda done, total, record, config: move(done, total, f"{record}: {_in_hand(config)}")
        )


@contextmanager
def _bar(*, counted: bool) -> Iterator[Callable[[float, float, str], object] | None]:
    """A bar that is moved with (done, all, what is in hand); None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    count = MofNCompleteColumn() if counted else TaskProgressColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count)
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("cells")

        def move(done: float, total: float, description: str) -> None:
            bar.update(task, completed=done, total=total, description=description)

        yield move


def _in_hand(config: Any) -> str:
    """A cell in a few words: its method and seed, if it has them."""
    if config is None:
        return "cells done"
    flat = config.to_dict()
    return ", ".join(
        f"{key} {flat[key]}" for key in ("method", "target", "check", "seed") if key in flat
    )
