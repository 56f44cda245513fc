"""What goes where: the result to stdout; progress and notes to stderr, if somebody watches."""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ntklab.errors import unknown
from ntklab.tables import holds

if TYPE_CHECKING:
    from ntklab.records import Record
    from ntklab.sweeps import CellProgress, SpectrumConfig

_WIDTH_OF_A_PIPE = 200


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


def print_record(record: "Record", form: str, columns: Mapping[str, str]) -> None:
    """The result of a command on stdout.

    Args:
        record: what was computed.
        form: "table" (for people, `columns` only), "csv" (every field) or "json" (the record).
        columns: field → heading of the table.
    """
    from ntklab.figures import to_csv

    if form == "json":
        write_json(record.to_json())
    elif form == "csv":
        sys.stdout.write(to_csv(record.results))
    else:
        print_table(record.results, columns)


def write_line(text: str) -> None:
    """A line of the result on stdout."""
    sys.stdout.write(f"{text}\n")


def write_json(text: str) -> None:
    """JSON on stdout; letters that its encoding cannot hold as JSON's own escapes."""
    if not holds(sys.stdout.encoding, text):
        text = re.sub(r"[^\x00-\x7f]", lambda letter: json.dumps(letter[0])[1:-1], text)
    sys.stdout.write(text)


def print_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """A table on stdout; columns that no row has are left out."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from ntklab.records import shown

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    filled = [name for name in columns if any(row.get(name) is not None for row in rows)]
    for name in filled:
        words = any(isinstance(row.get(name), str) for row in rows)
        table.add_column(columns[name], justify="left" if words else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(shown(row.get(name)) for name in filled))
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
    text = io.StringIO()  # rich would swallow the error of a stdout that nobody reads
    Console(file=text, width=width or Console().width, highlight=False).print(table)
    sys.stdout.write(text.getvalue())


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
