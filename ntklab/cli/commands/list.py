"""`ntklab list`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.errors import InputError
from ntklab.tables import Column, Columns

COLUMNS: Columns = {
    "record": "record",
    "command": "command",
    "methods": "methods",
    "task": "task",
    "seeds": Column("seeds", 2),
    "rows": Column("rows", 3),
    "started": Column("started", 1),
    "seconds": Column("s", 4),
}


def list(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of runs.")] = Path("."),
    form: opt.Format = "table",
) -> None:
    """List the records below a folder: what made each, of which methods and data, and when.

    \b
    Examples:
      ntklab list runs
      ntklab list figures/records --format csv
    """
    from ntklab.figures import to_csv
    from ntklab.records import to_json

    console.check_format(form)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name one that holds runs.")
    paths = sorted(folder.rglob("record.json"))
    if not paths:
        raise InputError(f"{folder} holds no record.json: runs write theirs where --out says.")
    rows = [_row(path, folder) for path in paths]
    if form == "json":
        console.write_json(to_json(rows))
    elif form == "csv":
        console.write(to_csv(rows))
    else:
        console.print_table(rows, COLUMNS, form)


def _row(path: Path, folder: Path) -> dict[str, Any]:
    from ntklab.records.record import read_json

    data = read_json(path)
    if not isinstance(data, dict):
        data = {}
    config, made = data.get("config") or {}, data.get("provenance") or {}
    results = data.get("results") or []
    methods = dict.fromkeys(row["method"] for row in results if row.get("method"))
    seeds = {row["seed"] for row in results if row.get("seed") is not None}
    return {
        "record": path.parent.relative_to(folder).as_posix(),
        "command": data.get("command"),
        "methods": ", ".join(methods) or None,
        "task": config.get("task"),
        "seeds": len(seeds) or None,
        "rows": len(results),
        "started": made.get("started"),
        "seconds": made.get("seconds"),
    }
