"""`ntklab figures`."""

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from ntklab.cli import console
from ntklab.cli.groups import completing, option
from ntklab.cli.options import check_out

# Written out because loading the catalogue loads the library; a test compares the two.
FIGURE_NAMES = (
    *("architecture", "shapes", "spectrum-ntk", "spectrum-released", "spectrum-paper"),
    *("conditioning", "cores", "generalization", "bounds", "approximation", "prediction"),
    *("prediction-lazy", "drift", "training-methods", "training-widths", "training-tt-ranks"),
    *("table3", "prompt-accuracy", "prompt-ranking", "prompt-curves"),
)


def _venues() -> Sequence[str]:
    from ntklab.figures.style import venue_names

    return venue_names()


def figures(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            autocompletion=completing((*FIGURE_NAMES, "all")),
            show_default=False,
            help=f"{', '.join(FIGURE_NAMES)}, or all (when left out).",
        ),
    ] = None,
    venue: Annotated[
        str, option("--venue NAME", "neurips, icml2024, tmlr2023, iclr, jmlr, ..", words=_venues)
    ] = "neurips",
    records: Annotated[
        Path,
        option("--records DIR", "Folder of records."),
    ] = Path("figures/records"),
    out: Annotated[
        Path, option("--out -o DIR", "Folder of the figures.", callback=check_out)
    ] = Path("figures"),
) -> None:
    """Draw figures for a paper from records: PDF, PNG, the numbers as CSV, and a caption.

    A figure whose record is absent is left out of `all` with a sentence. README.md in the folder
    shows every figure with its caption.

    \b
    Examples:
      ntklab figures all
      ntklab figures prediction drift --venue icml2024 --out runs/paper
    """
    for path in draw_figures(names or ["all"], records, out, venue=venue):
        sys.stdout.write(f"{path}\n")


def draw_figures(
    names: Sequence[str], records: Path, out: Path, *, venue: str = "neurips"
) -> list[Path]:
    """Draw the figures of these names and write the index.

    Args:
        names: of figures, or `all`, which leaves out those without a record.
        records: folder of records.
        out: folder of the figures.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        Everything written.

    Raises:
        InputError: an unknown name or venue; a record that a named figure needs and that is not
            there; or no record at all.
    """
    from ntklab.figures import catalogue, draw_plate, plate, venue_style, write_index
    from ntklab.figures.catalogue import of_gpu
    from ntklab.records import Record

    venue_style(venue)  # a venue that is unknown is refused before the first figure
    wanted = [plate(name) for name in names if name != "all"]
    if "all" in names:
        reasons = {one: one.missing(records) for one in catalogue()}
        wanted = [one for one, reason in reasons.items() if reason is None]
        wanted += [one for one in of_gpu() if one.missing(records) is None]
        for reason in filter(None, reasons.values()):
            sys.stderr.write(f"left out {reason}\n")
        if any(reasons.values()):
            sys.stderr.write(
                "`ntklab reproduce` makes the records of the project in one go: name their folder "
                "with --records reproduction/records.\n"
            )
    read = cache(Record.read)
    written: list[Path] = []
    for one in dict.fromkeys(wanted):
        console.note(f"drawing {one.name}")
        written += draw_plate(one, records, out, venue=venue, read=read)
    return [*written, write_index(out)]
