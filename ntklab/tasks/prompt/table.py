"""Rows of a text table, one at a time: tsv, csv and jsonl, plain or compressed."""

import csv
import gzip
import json
import lzma
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ntklab.errors import InputError, unknown

_FORMATS = (".tsv", ".csv", ".jsonl")
_OPENERS: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open}


def read_rows(path: str | Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The named columns of every row, with its number; the file is never held whole.

    A tsv has no quotes (a `"` is a character), a csv has the usual ones, a jsonl one object a line.

    Args:
        path: a .tsv, .csv or .jsonl file, also with .xz or .gz behind.
        columns: names from the header, or keys.

    Yields:
        The row's number as an editor counts lines, the header being 1, and its fields as text.

    Raises:
        InputError: no such file, another kind of file, a column that is not there (naming those
            that are), a row with too few fields, or text that cannot be decoded.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "films.tsv"
        >>> _ = path.write_text("rating\\ttext\\n3\\tfine film\\n")
        >>> list(read_rows(path, ["text", "rating"]))
        [(2, ['fine film', '3'])]
    """
    path = Path(path)
    kind = _kind(path)
    if not path.is_file():
        raise InputError(f"the table '{path}' is no file: check the path.")
    if kind not in _FORMATS:
        raise InputError(
            f"the table '{path}' is none of {', '.join(_FORMATS)} (also .xz or .gz): rename it, or "
            "write it as one of them."
        )
    with _opened(path) as stream:
        reader = _objects if kind == ".jsonl" else _fields
        yield from reader(path, stream, columns, kind)


def is_table(path: Path) -> bool:
    """Whether `read_rows` reads files of this name.

    >>> is_table(Path("films.tsv.xz")), is_table(Path("films.txt"))
    (True, False)
    """
    return _kind(path) in _FORMATS


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, plain or compressed.

    Raises:
        InputError: no such file, or text that cannot be decoded.
    """
    if not path.is_file():
        raise InputError(f"the text '{path}' is no file: check the path.")
    with _opened(path) as stream:
        return stream.read().splitlines()


def _kind(path: Path) -> str:
    """The ending of the name, beneath that of a compression."""
    return next((s for s in reversed(path.suffixes) if s not in _OPENERS), "")


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    opener = _OPENERS.get(path.suffix, open)
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
            yield stream
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"the table '{path}' cannot be read ({error}): give UTF-8 text, plain or as .xz or .gz."
        ) from error


def _fields(
    path: Path, stream: TextIO, columns: Sequence[str], kind: str
) -> Iterator[tuple[int, list[str]]]:
    if kind == ".tsv":
        rows = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        rows = csv.reader(stream)
    header = next(rows, [])
    for column in columns:
        if column not in header:
            raise unknown(f"column of '{path.name}'", column, header)
    places = [header.index(column) for column in columns]
    for fields in rows:
        if not fields:
            continue
        if max(places) >= len(fields):
            raise InputError(
                f"row {rows.line_num} of '{path}' has {len(fields)} fields, the header "
                f"{len(header)}: mend the row."
            )
        yield rows.line_num, [fields[place] for place in places]


def _objects(
    path: Path, stream: TextIO, columns: Sequence[str], kind: str
) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"line {number} of '{path}' is no JSON object ({error}).") from error
        if not isinstance(row, dict):
            raise InputError(f"line {number} of '{path}' is no JSON object: write one a line.")
        for column in columns:
            if column not in row:
                raise unknown(f"column of '{path.name}' (line {number})", column, row)
        yield number, [str(row[column]) for column in columns]
