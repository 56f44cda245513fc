"""`ntklab check`."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.groups import completing, option
from ntklab.errors import InputError
from ntklab.tables import Column, Columns

if TYPE_CHECKING:
    from ntklab.claims import Pack
    from ntklab.records import Record

COLUMNS: Columns = {
    "check": "claim",
    "verdict": "verdict",
    "title": "what it says",
    "seconds": Column("s", 1),
}
LISTED: Columns = {
    **{"check": "claim", "title": "what it says", "on": "tried on", "quick": "seeds, quick"},
    **{"full": "full", "records": "records"},
}
_FEW = 3  # as many are printed in full


def _claims() -> list[str]:
    from ntklab.claims import load_packs

    packs = load_packs()
    short = [claim for pack in packs for claim in pack.ids]
    full = [f"{pack.name}/{claim}" for pack in packs for claim in pack.ids]
    return [claim for claim in short if short.count(claim) == 1] + full


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]…",
            help="Claims, e.g. eq13 tera/rank; all when left out.",
            autocompletion=completing(_claims),
        ),
    ] = None,
    pack: Annotated[
        str | None,
        option("--pack NAME|FOLDER", "The claims of one paper; of all in the project if left out."),
    ] = None,
    listed: Annotated[bool, option("--list", "List the claims and compute nothing.")] = False,
    full: Annotated[
        bool, option("--full/--quick", "30 seeds and the real tasks, or a few seconds each.")
    ] = False,
    records: Annotated[
        Path | None, option("--records DIR", "Training records; the pack's own if left out.")
    ] = None,
    backend: opt.Backend = "loky",
    jobs: opt.Jobs = 1,
    scheduler: opt.Scheduler = None,
    out: Annotated[
        Path | None,
        option(
            "--out -o DIR", "Keep the record and its pages there; resumes.", callback=opt.check_out
        ),
    ] = None,
    force: opt.Force = False,
    dry_run: opt.DryRun = False,
    form: opt.Format = "table",
) -> None:
    """Compute the claims of papers: a verdict for each equation, table and figure.

    Exit code 0 if every check ran, whatever its verdict; 1 if one could not.

    \b
    Examples:
      ntklab check --quick --jobs 2 --out runs/claims
      ntklab check --pack tensorguide eq13 eq28
    """
    from ntklab.claims import CHECKS, check_configs, load_packs

    console.check_format(form)
    packs = load_packs(pack)
    if listed:
        _list(names or [], packs, form)
        return
    if dry_run:
        console.print_plan(CHECKS, check_configs(names or [], packs, full=full, records=records))
        return
    how = {"backend": backend, "jobs": jobs, "scheduler": scheduler}
    record = run_all(names or [], packs, full=full, records=records, out=out, force=force, how=how)
    if out is not None:
        from ntklab.claims.report import report_of, write_reports

        for path in write_reports(report_of(record, packs=packs), out):
            console.note(f"wrote {path}")
    verdicts = [row for row in record.results if row["entry"] == "verdict"]
    if form not in console.DATA:
        console.print_tables(tables(record), form)
        _explain(verdicts if form == "table" and len(verdicts) <= _FEW else [])
    else:
        console.print_record(record, form, COLUMNS)
    _say_absent(verdicts)
    if any(row["verdict"] is None for row in verdicts):
        _say_failed(verdicts)
        raise typer.Exit(1)


def tables(record: "Record") -> list[console.Shown]:
    """The table of verdicts."""
    verdicts = [row for row in record.results if row["entry"] == "verdict"]
    return [([_shown(row) for row in verdicts], COLUMNS)]


def run_all(
    names: list[str],
    packs: "Sequence[Pack]",
    *,
    full: bool,
    records: Path | None,
    out: Path | None,
    force: bool,
    how: Mapping[str, Any],
) -> "Record":
    """Run the checks that are not yet in the folder and write their record there.

    Args:
        names: of claims.
        packs: where they are.
        full: the effort.
        records: of training.
        out: the folder.
        force: to start it afresh.
        how: backend, jobs and scheduler of `ntklab.experiments.run.run`.

    Raises:
        InputError: for an unknown claim, no folder of records, or a folder of another effort.
        KeyboardInterrupt: finished checks stay on disk.
    """
    from ntklab.claims import CHECKS, check_configs
    from ntklab.experiments.run import run

    if records is not None and not records.is_dir():
        raise InputError(f"--records {records} is no folder: name one of training records.")
    configs = check_configs(names, packs, full=full, records=records)
    with console.progress_bar() as bar:
        return run(CHECKS, configs, out=out, force=force, progress=bar, **how)


def _list(names: list[str], packs: "Sequence[Pack]", form: str) -> None:
    from ntklab.claims import Effort, find_checks
    from ntklab.figures import to_csv

    rows: list[dict[str, Any]] = []
    for pack, one in find_checks(names, packs):
        sample = one.sample
        assert sample is not None
        quick, full = (len(sample.seeds(Effort(full=full))) or None for full in (False, True))
        row: dict[str, Any] = {"check": pack.full_id(one.claim.id)}
        row |= {"title": one.claim.title, "on": sample.on, "quick": quick, "full": full}
        rows.append(row | {"records": ", ".join(one.records)})
    if form == "json":
        console.write_json(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    elif form == "csv":
        sys.stdout.write(to_csv(rows))
    else:
        console.print_table(rows, LISTED, form)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A verdict's row as the table has it; what could not be judged says so beside its word."""
    word = f"{row['verdict']} absent" if row.get("absent") else row["verdict"]
    return row | {"seconds": f"{row['seconds']:.1f}", "verdict": word or "could not run"}


def _say_absent(verdicts: list[dict[str, Any]]) -> None:
    waiting = {row["check"]: row["absent"] for row in verdicts if row.get("absent")}
    if waiting:
        sys.stderr.write(
            f"Not judged, since their training records are absent: {', '.join(waiting)}. "
            "`ntklab reproduce` makes those of the project in reproduction/records, and a checkout "
            "has them in figures/records: name the folder with --records DIR.\n"
        )


def _say_failed(verdicts: list[dict[str, Any]]) -> None:
    for row in verdicts:
        if row["verdict"] is None:
            sys.stderr.write(f"{row['check']} could not run: {row['failed']}\n")


def _explain(verdicts: list[dict[str, Any]]) -> None:
    for row in verdicts:
        reason = row["failed"] if row["verdict"] is None else row["because"]
        sys.stdout.write(f"\n{row['check']}: {reason}\n")
        if row.get("mended"):
            sys.stdout.write(f"What holds: {row['mended']}\n")
