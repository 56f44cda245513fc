"""`ntklab check`."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.groups import option

if TYPE_CHECKING:
    from ntklab.records import Record

COLUMNS = {"check": "claim", "verdict": "verdict", "title": "what it says", "seconds": "s"}
_FEW = 3  # as many are told in full


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]…", help="Claims, e.g. eq13 table2; all when left out."),
    ] = None,
    full: Annotated[
        bool, option("--full/--quick", "30 seeds and the real tasks, or a few seconds each.")
    ] = False,
    records: Annotated[
        Path | None, option("--records DIR", "Training records; those of the checkout if left out.")
    ] = None,
    jobs: opt.Jobs = 1,
    out: Annotated[
        Path | None,
        option("--out -o DIR", "Keep the record, index.html and a page a pack there; resumes."),
    ] = None,
    force: opt.Force = False,
    form: opt.Format = "table",
) -> None:
    """The paper's claims, computed: a verdict for each equation, table and figure.

    Exit code 0 if every check ran, whatever its verdict; 1 if one could not.

    \b
    Examples:
      ntklab check --quick --jobs 2 --out claims
      ntklab check eq13 eq28 table2
    """
    console.check_format(form)
    record = run_all(names or [], full=full, records=records, jobs=jobs, out=out, force=force)
    if out is not None:
        from ntklab.claims.report import report_of, write_reports

        for path in write_reports(report_of(record), out):
            console.note(f"wrote {path}")
    verdicts = [row for row in record.results if row["entry"] == "verdict"]
    if form == "table":
        console.print_table(
            [row | {"seconds": f"{row['seconds']:.1f}"} for row in verdicts], COLUMNS
        )
        _tell(verdicts if names and len(verdicts) <= _FEW else [])
    else:
        console.print_record(record, form, COLUMNS)
    if any(row["verdict"] is None for row in verdicts):
        raise typer.Exit(1)


def run_all(
    names: list[str], *, full: bool, records: Path | None, jobs: int, out: Path | None, force: bool
) -> "Record":
    """Run the checks that are not yet in the folder and write their record there.

    Raises:
        InputError: for an unknown claim, or a folder of another effort.
        typer.Exit: with code 130 after Ctrl-C; finished checks stay on disk.
    """
    from ntklab.claims import check_configs, record_of, run_checks
    from ntklab.records import RunFolder, collect, now

    started, start = now(), time.perf_counter()
    configs = check_configs(names, full=full, records=records)
    effort = {"command": "check", "effort": "full" if full else "quick"}
    folder = None if out is None else RunFolder(out, effort, force=force)
    with console.counting() as bar, console.stoppable(out):
        cells = run_checks(configs, folder=folder, jobs=jobs, progress=bar)
    provenance = collect(
        device="cpu",
        dtype="float64",
        threads=1,
        started=started,
        seconds=time.perf_counter() - start,
    )
    record = record_of(configs, cells, provenance)
    if out is not None:
        record.write(out)
    return record


def _tell(verdicts: list[dict[str, Any]]) -> None:
    for row in verdicts:
        told = row["failed"] if row["verdict"] is None else row["because"]
        sys.stdout.write(f"\n{row['check']}: {told}\n")
        if row.get("mended"):
            sys.stdout.write(f"What holds: {row['mended']}\n")
