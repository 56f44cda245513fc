"""Where a table of sentences is looked for by its name alone."""

import os
from pathlib import Path


def find_table(name: str) -> Path:
    """A table in the working folder, else in `sentiment` of the shared data.

    The shared data are the folder `NTKLAB_SHARED_DATA` or `../shared/data`, as for `wikitext`.

    Args:
        name: of the file.

    Returns:
        A path that may not exist: whoever reads it says so.

    Example:
        >>> find_table("no-such-table.tsv").name
        'no-such-table.tsv'
    """
    shared = Path(os.environ.get("NTKLAB_SHARED_DATA", "../shared/data")) / "sentiment" / name
    return shared if shared.is_file() and not Path(name).exists() else Path(name)
