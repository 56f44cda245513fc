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
    records: Annotated[
        list[Path],
        typer.Argument(metavar="RECORD…", help="Folders that ntklab check --out wrote."),
    ],
    out: Annotated[Path, option("--out -o DIR", "Where to write the pages.")],
    pack: Annotated[
        str | None,
        option("--pack NAME|FOLDER", "Whose claims these are; the project's if left out."),
    ] = None,
    code: Annotated[
        str,
        option("--code URL", "Link to URL/PACK/CLAIM.py; without it the files are copied."),
    ] = "",
) -> None:
    """Make the pages of records again, and compute nothing.

    \b
    Examples:
      ntklab claims report docs/claims/tensorguide docs/claims/tera --out pages
      ntklab claims report page --pack mine --out again
    """
    from ntklab.claims import load_packs
    from ntklab.claims.report import report_of, write_reports
    from ntklab.records import Record

    pages = report_of(*map(Record.read, records), packs=load_packs(pack))
    for path in write_reports(pages, out, code=code):
        sys.stdout.write(f"{path}\n")
