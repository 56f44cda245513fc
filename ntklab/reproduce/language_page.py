"""Table 3's page from its record: `python -m ntklab.reproduce.language_page RECORD FOLDER`.

Writes FOLDER/tables-language.md; every number is taken from the record. The figure that it shows is
the one of `ntklab figures table3`.
"""

import sys
from pathlib import Path

_HEAD = """# A language model's last layer

Every number is taken from the record `{record}`, made by

    ntklab train --task wikitext --table 3 --seeds {seeds} --out {record}

and this page is written by `python -m ntklab.reproduce.language_page {record} {folder}`, its
figure by `ntklab figures table3`.

"""
_FIGURE = "\n![Test perplexity against trained parameters](table3.png)\n"


def write_language_page(record: Path, folder: Path) -> Path:
    """The page.

    Args:
        record: folder of the record.
        folder: where the page goes, beside the figure.

    Returns:
        The path written.

    Raises:
        InputError: if there is no such record, or it has no table.
    """
    from ntklab.experiments.training.markdown import table_markdown
    from ntklab.files import write_text
    from ntklab.records import Record

    found = Record.read(record)
    page = folder / "tables-language.md"
    chosen = found.config["seeds"]
    seeds = f"{min(chosen)}:{max(chosen) + 1}"
    head = _HEAD.format(record=record.as_posix(), folder=folder.as_posix(), seeds=seeds)
    write_text(page, head + table_markdown(found) + _FIGURE)
    return page


def main() -> None:
    """Write the page of the record that the command line names."""
    try:
        record, folder = map(Path, sys.argv[1:])
    except ValueError:
        sys.exit("usage: python -m ntklab.reproduce.language_page RECORD FOLDER")
    sys.stdout.write(f"{write_language_page(record, folder)}\n")


if __name__ == "__main__":
    main()
