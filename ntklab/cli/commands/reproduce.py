"""`ntklab reproduce`."""

import sys
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
    """Every main result from scratch: records, tables, figures, and a summary computed from them.

    \b
    Examples:
      ntklab reproduce --quick
      ntklab reproduce --out results/full --device cuda:0
    """
    from ntklab.reproduce.setting import Setting
    from ntklab.reproduce.steps import STEPS, write_summary

    setting = Setting(
        out,
        quick=quick,
        force=force,
        device=device,
        note=console.note,
        bar=console.progress_bar,
    )
    sections = [step(setting) for step in STEPS]
    write_summary(setting, sections)
    for path in sorted(path for path in out.rglob("*") if path.suffix in (".md", ".pdf", ".csv")):
        sys.stdout.write(f"{path}\n")
