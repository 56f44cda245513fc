"""Where a table of sentences is looked for by its name alone."""

from pathlib import Path

from ntklab.tasks.shared_data import shared_data


def find_table(name: str) -> Path:
    """A table in the working folder, else in `sentiment` of `shared_data()`.

    Args:
        name: of the file.

    Returns:
        A path that may not exist: whoever reads it says so.

    Example:
        >>> find_table("no-such-table.tsv").name
        'no-such-table.tsv'
    """
    shared = shared_data() / "sentiment" / name
    return shared if shared.is_file() and not Path(name).exists() else Path(name)
