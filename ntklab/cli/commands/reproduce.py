"""`ntklab reproduce`."""

from pathlib import Path
from typing import Annotated

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.groups import option


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

    with console.records_bar() as watch:
        setting = Setting(out, quick=quick, force=force, device=device, watch=watch)
        sections = [step(setting) for step in STEPS]
    summary = write_summary(setting, sections)
    for line in main_results(setting.records):
        console.write_line(line)
    console.write_line(f"Open next: {summary} (all tables), {out / 'figures' / 'README.md'}.")
