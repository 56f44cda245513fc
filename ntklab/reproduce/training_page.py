"""The page of all training runs from records: `python -m ntklab.reproduce.training_page`.

    python -m ntklab.reproduce.training_page RECORDS FOLDER

reads RECORDS/pairs-table1, -table2, -table5, released-end-to-end and table3, as far as they are
there, and writes FOLDER/tables-training.md with the figures that it shows, {pdf,png,csv}.
"""

import sys
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from ntklab.errors import InputError
from ntklab.experiments.manifest import make_line

if TYPE_CHECKING:
    from ntklab.records import Record

#: Record → what its figure shows, and the name of the figure.
FIGURES = {
    "pairs-table1": ("Figure 4", "training-methods"),
    "pairs-table2": ("Figure 5", "training-widths"),
    "pairs-table5": ("Figure 6", "training-tt-ranks"),
    "table3": ("Test perplexity against trained parameters", "table3"),
    "table3-gpu": ("Test perplexity against trained parameters, on a GPU", "table3-gpu"),
}
END_TO_END = "released-end-to-end"
#: What `ntklab gpu-records` makes of it: one record for each table of the paper.
ON_GPU = f"{END_TO_END}*-gpu"
_HEAD = """# Training: tables 1, 2, 3, 5 and figures 4 to 6

Every number is taken from the records in `{records}`; this page and its figures are written by
`python -m ntklab.reproduce.training_page {records} {folder}`. Intervals and tests are over
seeds, on one data set and one test split of it: they say nothing of other images or texts.
"""
_CLAIMS = "../docs/claims/tensorguide.md"


def write_training_page(records: Path, folder: Path) -> list[Path]:
    """The page and the figures of the records that are there.

    Args:
        records: folder of records.
        folder: where page and figures go.

    Returns:
        The paths written.

    Raises:
        InputError: no record of training there.
    """
    from ntklab.files import write_text

    present = records_in(records)
    page = folder / "tables-training.md"
    write_text(page, training_page(present, records, folder))
    figures = [path for name, record in present.items() for path in draw(record, name, folder)]
    return [page, *figures]


def records_in(records: Path) -> "dict[str, Record]":
    """The records of training that a folder holds, by name.

    Raises:
        InputError: there is none of `FIGURES`.
    """
    from ntklab.records import Record

    of_gpu = sorted(path.name for path in records.glob(ON_GPU))
    known = (*FIGURES, END_TO_END, *of_gpu)
    names = [name for name in known if (records / name / "record.json").exists()]
    if not set(names) & FIGURES.keys():
        raise InputError(
            f"{records} holds none of {', '.join(FIGURES)}: make one with  "
            f"{make_line('pairs-table1', records.as_posix())}."
        )
    return {name: Record.read(records / name) for name in names}


def training_page(present: "Mapping[str, Record]", records: Path, folder: Path) -> str:
    """The page as Markdown, figures not drawn."""
    from ntklab.experiments.training.markdown import end_to_end_markdown, on_gpu_markdown

    head = _HEAD.format(records=records.as_posix(), folder=folder.as_posix()) + _judged(folder)
    of_gpu = [record for name, record in present.items() if fnmatch(name, ON_GPU)]
    sections = [
        training_section(present[name], name, on_gpu=bool(of_gpu))
        for name in FIGURES
        if name in present
    ]
    sections.append(end_to_end_markdown(present.get(END_TO_END)))
    sections += [on_gpu_markdown(of_gpu)] if of_gpu else []
    return "\n".join([head, *sections])


def training_section(record: "Record", name: str, *, on_gpu: bool = False) -> str:
    """One table with its figure, and what the curves of heads say.

    Args:
        record: of the table.
        name: of the record.
        on_gpu: whether the runs through the backbone stand below, from a GPU.
    """
    from ntklab.experiments.training.curves import curves_markdown
    from ntklab.experiments.training.markdown import table_markdown

    shows, stem = FIGURES[name]
    curves = "" if name.startswith("table3") else curves_markdown(record)
    table = table_markdown(record, on_gpu=on_gpu)
    return f"{table}\n### {shows}\n\n![{shows}]({stem}.png)\n\n{curves}"


def draw(record: "Record", name: str, folder: Path) -> list[Path]:
    """The figure of a record, if it has one on the page; the paths written."""
    from ntklab.figures import save_figure
    from ntklab.figures.language import perplexity_figure
    from ntklab.figures.training import curves_figure

    if name not in FIGURES:
        return []
    figure, rows = (perplexity_figure if name.startswith("table3") else curves_figure)(record)
    return save_figure(figure, folder / f"{FIGURES[name][1]}.pdf", rows)


def _judged(folder: Path) -> str:
    """Where the verdicts are; with links where the page lies in a checkout."""
    place = f"[that page]({_CLAIMS})" if (folder / _CLAIMS).is_file() else "its report"
    return f"The paper's claims are judged by `ntklab check --pack tensorguide`: see {place}.\n"


def main() -> None:
    """Write the page of the folders that the command line names."""
    try:
        records, folder = map(Path, sys.argv[1:])
    except ValueError:
        sys.exit("usage: python -m ntklab.reproduce.training_page RECORDS FOLDER")
    for path in write_training_page(records, folder):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
