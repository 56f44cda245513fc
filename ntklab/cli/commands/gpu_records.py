"""`ntklab gpu-records`."""

from pathlib import Path
from typing import Annotated

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.groups import option
from ntklab.tables import Columns

PLANNED: Columns = {"step": "record", "minutes": "minutes, estimated", "command": "command"}
OUTCOMES: Columns = {"name": "record", "state": "state", "minutes": "minutes", "reason": "reason"}


def gpu_records(
    out: Annotated[
        Path,
        option("--out -o DIR", "Folder of the records; resumes.", callback=opt.check_out),
    ] = Path("gpu-records"),
    minutes: Annotated[float, option("--minutes COUNT", "Time that may be taken.", min=0.1)] = 25.0,
    device: Annotated[
        str, option("--device NAME", "cuda:0, or cpu for everything in small.", words=("cuda:0",))
    ] = "auto",
    dry_run: opt.DryRun = False,
) -> None:
    """Measure on a GPU whatever is marked as not yet measured there, most valuable first.

    One archive of at most 16 MB holds all records. A second call goes on where the time was up.
    With --device cpu the same steps run in small, so that the way is known to work.

    \b
    Examples:
      ntklab gpu-records --minutes 25 --out runs/gpu
      ntklab gpu-records --device cpu --minutes 3 --out runs/small
    """
    from ntklab.compute import resolve_device
    from ntklab.errors import InputError
    from ntklab.reproduce.clock import Clock
    from ntklab.reproduce.gpu import DONE, run_steps, steps_of

    clock = Clock(minutes)
    resolved = resolve_device(device)
    if device == "auto" and resolved == "cpu":
        raise InputError("torch sees no GPU here: give --device cpu for a trial in small.")
    steps = steps_of(resolved, out)
    if dry_run:
        rows = [
            {"step": s.name, "minutes": f"{s.minutes:.1f}", "command": s.command} for s in steps
        ]
        console.print_table(rows, PLANNED)
        console.write_line(f"{sum(step.minutes for step in steps):.0f} minutes in all, estimated.")
        return
    outcomes = run_steps(steps, out, clock, say=console.note)
    rows = [{**vars(one), "minutes": f"{one.minutes:.1f}"} for one in outcomes]
    console.print_table(rows, OUTCOMES)
    if not any(one.state == DONE for one in outcomes):
        raise typer.Exit(1)
