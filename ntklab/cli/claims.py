"""`ntklab claims`: begin a pack of claims, and make the pages of a record again."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ntklab.cli.groups import option

claims = typer.Typer(
    help="Begin a pack of claims of your own; make the pages of a record again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write it.")]


@claims.command()
def new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New; names the pack.")],
) -> None:
    """Write a pack: one claim that runs, its test and a README.

    \b
    Examples:
      ntklab claims new mine
      ntklab check --pack mine
    """
    from ntklab.claims import new_pack

    for path in new_pack(folder):
        sys.stdout.write(f"{path}\n")
    sys.stdout.write(f"next: ntklab check --pack {folder}\n")


@claims.command()
def report(
    record: Annotated[
        Path, typer.Argument(metavar="RECORD", help="Folder that `ntklab check --out` wrote.")
    ],
    folder: _Folder,
    pack: Annotated[
        str | None,
        option("--pack NAME|FOLDER", "Whose claims these are; the project's if left out."),
    ] = None,
) -> None:
    """Make the pages of a record again, and compute nothing.

    \b
    Examples:
      ntklab claims report docs/claims pages
      ntklab claims report out pages --pack mine
    """
    from ntklab.claims import load_packs
    from ntklab.claims.report import report_of, write_reports
    from ntklab.records import Record

    for path in write_reports(report_of(Record.read(record), load_packs(pack)), folder):
        sys.stdout.write(f"{path}\n")
