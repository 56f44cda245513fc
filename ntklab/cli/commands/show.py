"""`ntklab show`."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.errors import InputError

if TYPE_CHECKING:
    from ntklab.records import Record

#: Commands whose modules say, by `tables(record)`, how their records are shown.
SHOWN = ("spectrum", "sweep", "bounds", "approx", "train", "dynamics", "pair", "check", "bench")


def show(
    records: Annotated[
        list[Path], typer.Argument(metavar="RECORD…", help="Records: JSON files or run folders.")
    ],
    form: opt.Format = "table",
) -> None:
    """Show a record as the command that wrote it does; nothing is computed.

    \b
    Examples:
      ntklab show runs/spectrum
      ntklab show figures/records/bounds --format latex
    """
    from ntklab.records import Record

    console.check_format(form)
    for record in [Record.read(path) for path in records]:
        if form in console.DATA:
            console.print_record(record, form, {})
        else:
            console.print_tables(tables_of(record), form)


def tables_of(record: "Record") -> Any:
    """Rows and columns of every table of a record.

    Raises:
        InputError: for a record of a command that has no table.
    """
    if record.command not in SHOWN:
        known = ", ".join(SHOWN)
        raise InputError(f"a record of '{record.command}' has no table here: those of {known} do.")
    return import_module(f"ntklab.cli.commands.{record.command}").tables(record)
