"""Table 3's page and figure from its record: `python -m ntklab.cli.language_page RECORD FOLDER`.

Writes FOLDER/table3.md and FOLDER/table3.{pdf,png,csv}; every number is taken from the record.
"""

import sys
from pathlib import Path

_HEAD = """# A language model's last layer

Every number is taken from the record `{record}`, made by

    ntklab train --task wikitext --table 3 --seeds 0:3 --out {record}

and this page and its figure are written by `python -m ntklab.cli.language_page {record} {folder}`.

"""
_FIGURE = "\n![Test perplexity against trained parameters](table3.png)\n"


def write_language_page(record: Path, folder: Path) -> list[Path]:
    """The page and the figure.

    Args:
        record: folder of the record.
        folder: where they go.

    Returns:
        The paths written.

    Raises:
        InputError: if there is no such record, or it has no table.
    """
    from ntklab.figures import save_figure
    from ntklab.figures.language import perplexity_figure
    from ntklab.records import Record, write_text
    from ntklab.sweeps.language_markdown import language_markdown
    from ntklab.sweeps.language_table import language_table

    found = Record.read(record)
    figure, table = perplexity_figure(found, language_table(found))
    written = save_figure(figure, folder / "table3.pdf", table)
    page = folder / "table3.md"
    head = _HEAD.format(record=record.as_posix(), folder=folder.as_posix())
    write_text(page, head + language_markdown(found) + _FIGURE)
    return [page, *written]


def main() -> None:
    """Write the page of the folders that the command line names."""
    try:
        record, folder = map(Path, sys.argv[1:])
    except ValueError:
        sys.exit("usage: python -m ntklab.cli.language_page RECORD FOLDER")
    for path in write_language_page(record, folder):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
