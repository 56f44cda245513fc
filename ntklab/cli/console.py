"""What goes where: the result to stdout; progress and notes to stderr, if somebody watches."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

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
    from ntklab.records import Record
    from ntklab.sweeps import CellProgress, SpectrumConfig

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


@contextmanager
def cell_progress() -> Iterator["CellProgress | None"]:
    """A progress bar over cells on stderr; None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
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

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("spectra")

        def progress(done: int, total: int, config: "SpectrumConfig | None") -> None:
            what = (
                f"{config.adapter.method}, seed {config.compute.seed}" if config else "cells done"
            )
            bar.update(task, completed=done, total=total, description=what)

        yield progress


@contextmanager
def counting() -> Iterator["Callable[[int, int], None] | None"]:
    """A bar on stderr for cells that finish in any order; None where nobody watches."""
    with cell_progress() as progress:
        yield None if progress is None else lambda done, total: progress(done, total, None)


@contextmanager
def stoppable(out: Path | None) -> Iterator[None]:
    """Turns Ctrl-C inside the block into exit code 130 and a sentence that says how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        kept = "give --out DIR to keep finished cells" if out is None else f"run it again: {out}"
        sys.stderr.write(f"stopped; to go on where it stopped, {kept}\n")
        raise typer.Exit(130) from None
