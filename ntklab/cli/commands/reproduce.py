"""`ntklab reproduce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.groups import option
from ntklab.tables import Columns

if TYPE_CHECKING:
    from ntklab.reproduce.setting import Setting

PLANNED: Columns = {
    "record": "record",
    "cells": "cells",
    "minutes": "minutes of one core",
    "command": "command",
}


def reproduce(
    quick: Annotated[
        bool, option("--quick", "Few seeds and samples: minutes instead of an hour.")
    ] = False,
    out: Annotated[
        Path,
        option("--out -o DIR", "Folder of the results; resumes.", callback=opt.check_out),
    ] = Path("reproduction"),
    force: opt.Force = False,
    device: opt.Device = "auto",
    dry_run: opt.DryRun = False,
) -> None:
    """Compute every main result from scratch: records, tables, figures and a summary.

    It ends with its five main results, a line each; all tables stand in summary.md.

    \b
    Examples:
      ntklab reproduce --quick
      ntklab reproduce --out results/full --device cuda:0
    """
    from ntklab.reproduce.results import main_results
    from ntklab.reproduce.setting import Setting
    from ntklab.reproduce.steps import STEPS, write_summary

    if dry_run:
        _print_plan(Setting(out, quick=quick, device=device))
        return
    with console.records_bar() as watch:
        setting = Setting(out, quick=quick, force=force, device=device, watch=watch)
        sections = [step(setting) for step in STEPS]
    summary = write_summary(setting, sections)
    for line in main_results(setting.records):
        console.write_line(line)
    console.write_line(f"Open next: {summary} (all tables), {out / 'figures' / 'README.md'}.")


def _print_plan(setting: "Setting") -> None:
    """The work of each step and what it takes, in the form of every `--dry-run`."""
    from ntklab.compute import resolve_device
    from ntklab.records import to_json

    rows = setting.plan()
    device = resolve_device(setting.device)
    where = {"out": str(setting.folder), "size": setting.size, "device": device}
    console.write_json(to_json(where))
    console.print_table(rows, PLANNED)
    minutes = sum(float(row["minutes"]) for row in rows)
    cells = sum(row["cells"] for row in rows)
    console.write_line(
        f"{cells} cells, about {minutes:.0f} minutes of one core in all, estimated; then figures "
        f"and {setting.folder / 'summary.md'}. Finished cells in the folder are not made again."
    )
