"""The page of the committed records: `python -m ntklab.reproduce.records_page FOLDER`.

Writes FOLDER/README.md from the manifest.
"""

import sys
from pathlib import Path

from ntklab.experiments.manifest import sized

_HEAD = """# Records behind the figures

Each folder holds one record: `record.json`, with its arrays in `record.safetensors`. What it was
made with (versions, commit, threads, time) stands under `provenance`. These commands make them
again; all take the CPU, the longest about 25 minutes on one core (the pairs), and half an hour
(`table3`, with its texts and its model in the cache: `python -m ntklab.tasks.wikitext`). The table
is written from `ntklab/experiments/manifest.py` by
`python -m ntklab.reproduce.records_page figures/records`.
"""
_AFTER = """
Add `--out runs/NAME` to each, and copy `record.json` and `record.safetensors` here: the folder of a
run also holds its single cells, which figures do not need. `ntklab figures all` then draws again.
Runs of training have a page of tables too, written by
`python -m ntklab.reproduce.training_page figures/records figures`. `ntklab reproduce --quick`
makes most of them in a smaller form.
"""
_ON_A_GPU = """
## On a GPU

`ntklab gpu-records` makes these, under names that end in `-gpu`; what stands here under such a name
has been measured:
"""


def records_page() -> str:
    """Every record of the manifest with its command, and what a GPU is to measure."""
    full = [(one.record, one.line("full")) for one in sized("full")]
    gpu = [(one.record, one.line("gpu")) for one in sized("gpu")]
    return "\n".join([_HEAD, *_table(full), _AFTER.rstrip(), _ON_A_GPU, *_table(gpu), ""])


def write_records_page(folder: Path) -> Path:
    """The page in a folder of records.

    Returns:
        The path written.
    """
    from ntklab.files import write_text

    page = folder / "README.md"
    write_text(page, records_page())
    return page


def _table(rows: list[tuple[str, str]]) -> list[str]:
    lines = [f"| `{record}` | `{command}` |" for record, command in rows]
    return ["| record | command |", "|---|---|", *lines]


def main() -> None:
    """Write the page into the folder that the command line names."""
    try:
        (folder,) = map(Path, sys.argv[1:])
    except ValueError:
        sys.exit("usage: python -m ntklab.reproduce.records_page FOLDER")
    sys.stdout.write(f"{write_records_page(folder)}\n")


if __name__ == "__main__":
    main()
