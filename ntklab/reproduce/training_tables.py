"""Tables 1, 2 and 5 and Figures 4-6 from records on disk.

    python -m ntklab.reproduce.training_tables RECORDS FOLDER

reads RECORDS/pairs-table1, -table2, -table5 and RECORDS/released-end-to-end, as far as they are
there, and writes FOLDER/tables-training.md and FOLDER/training-*.{pdf,png,csv}.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ntklab.errors import InputError

if TYPE_CHECKING:
    from ntklab.records import Record

#: Record → the figure of the paper that it answers.
FIGURES = {
    "pairs-table1": ("Figure 4", "training-methods"),
    "pairs-table2": ("Figure 5", "training-widths"),
    "pairs-table5": ("Figure 6", "training-tt-ranks"),
}
END_TO_END = "released-end-to-end"
_HEAD = """# Training: tables 1, 2, 5 and figures 4 to 6

Every number is taken from the records in `{records}`; this page and its figures are written by
`python -m ntklab.reproduce.training_tables {records} {folder}`. Intervals and tests are over
seeds, on one data set and one test split of it: they say nothing of other images.
"""
_CLAIMS = "../docs/claims/tensorguide.md"


def write_training_tables(records: Path, folder: Path) -> list[Path]:
    """The page and the figures of the records that are there.

    Args:
        records: folder of records.
        folder: where page and figures go.

    Returns:
        The paths written.

    Raises:
        InputError: no record of pairs there.
    """
    from ntklab.files import write_text

    found = {name: _record(records / name) for name in FIGURES}
    present = {name: record for name, record in found.items() if record is not None}
    if not present:
        raise InputError(
            f"{records} holds none of {', '.join(FIGURES)}: make one with  ntklab pair --table 1 "
            f"--out {records}/pairs-table1."
        )
    sections, written = [], []
    for name, record in present.items():
        section, paths = training_section(record, name, folder)
        sections.append(section)
        written += paths
    from ntklab.experiments.training.markdown import end_to_end_markdown

    sections.append(end_to_end_markdown(_record(records / END_TO_END)))
    page = folder / "tables-training.md"
    head = _HEAD.format(records=records.as_posix(), folder=folder.as_posix()) + _judged(folder)
    write_text(page, "\n".join([head, *sections]))
    return [page, *written]


def training_section(record: "Record", name: str, folder: Path) -> tuple[str, list[Path]]:
    """One table with its figure, which is written beside it, and what its curves say."""
    from ntklab.experiments.training.curves import curves_markdown
    from ntklab.experiments.training.markdown import table_markdown
    from ntklab.figures import save_figure
    from ntklab.figures.training import curves_figure

    told, stem = FIGURES[name]
    figure, table = curves_figure(record)
    paths = save_figure(figure, folder / f"{stem}.pdf", table)
    shown = f"### {told}\n\n![{told}]({stem}.png)\n\n{curves_markdown(record)}"
    return f"{table_markdown(record)}\n{shown}", paths


def _judged(folder: Path) -> str:
    """Where the verdicts are; with links where the page lies in a checkout."""
    place = f"[that page]({_CLAIMS})" if (folder / _CLAIMS).is_file() else "its report"
    return f"The paper's claims are judged by `ntklab check --pack tensorguide`: see {place}.\n"


def _record(path: Path) -> "Record | None":
    from ntklab.records import Record

    return Record.read(path) if (path / "record.json").exists() else None


def main() -> None:
    """Write the page of the folders that the command line names."""
    try:
        records, folder = map(Path, sys.argv[1:])
    except ValueError:
        sys.exit("usage: python -m ntklab.reproduce.training_tables RECORDS FOLDER")
    for path in write_training_tables(records, folder):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
