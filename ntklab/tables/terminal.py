"""A table in a terminal of any width: no number is ever cut."""

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from ntklab.tables.table import Table

_GAP = 2
_LEAST_PROSE = 24  # characters: a column of sentences is not made narrower
_LEAST_ROWS = 3  # on average, under one heading: fewer are no easier to read than blocks
_NOTHING = ("", "–")


def in_terminal(table: Table, width: int) -> str:
    """The table in at most `width` characters, which ends in a line feed.

    Where it is too wide, sentences go over several lines; then columns give way, the largest
    `gives_way` first, and a last line names them; then rows that begin alike stand under one line
    of what they share, each with its sentence below; then every row becomes a block of its own.

    Args:
        table: cells.
        width: of the terminal; a single word or number that is longer stays whole.

    Example:
        >>> from ntklab.tables import Column, table_of
        >>> rows = [{"method": "lora", "lambda_max": 541.25, "seconds": 0.125}]
        >>> columns = {"method": "method", "lambda_max": "λ max", "seconds": Column("s", 1)}
        >>> print(in_terminal(table_of(rows, columns), 40), end="")
        method  λ max      s
        ────────────────────
        lora    541.2  0.125
        >>> print(in_terminal(table_of(rows, columns), 16), end="")
        method  λ max
        ─────────────
        lora    541.2
        (no room for: s)
        >>> print(in_terminal(table_of(rows, columns), 11), end="")
        method
          lora
          λ max
          541.2
          s 0.125
    """
    for left_out in _steps(table):
        places = [place for place in range(len(table.columns)) if place not in left_out]
        widths = _fitting(table.only(places), width)
        if widths is not None:
            lines = _lines(table.only(places), widths) + _absent(table, left_out, width)
            return "\n".join(lines) + "\n"
    grouped = _under_headings(table, width)
    blocks = (line for row in table.rows for line in _block(table, row, width))
    return "\n".join(blocks if grouped is None else grouped) + "\n"


def _under_headings(table: Table, width: int) -> list[str] | None:
    """Groups of rows whose first columns are equal; None where that is still too wide, or no gain.

    They share as many columns as leave several rows to a group; a sentence stands below its row.
    """
    prose = [place for place in range(len(table.columns)) if _has_prose(table, place)]
    for shared in range(len(table.columns) - 2, 0, -1):
        groups = [list(rows) for _, rows in groupby(table.rows, itemgetter(slice(shared)))]
        if len(table.rows) < _LEAST_ROWS * len(groups):
            continue
        for left_out in _steps(table):
            hidden = {*prose, *left_out}
            places = [p for p in range(shared, len(table.columns)) if p not in hidden]
            if (
                not places
                or len(_block(table.only(range(shared)), groups[0][0][:shared], width)) > 1
            ):
                continue
            widths = _fitting(table.only(places), width)
            if widths is not None:
                parts = [_group(table, rows, shared, places, widths, width) for rows in groups]
                lines = [line for part in parts for line in ("", *part)][1:]
                return lines + _absent(table, left_out, width)
    return None


def _group(
    table: Table,
    rows: Sequence[Sequence[str]],
    shared: int,
    places: Sequence[int],
    widths: Sequence[int],
    width: int,
) -> list[str]:
    prose = [place for place in range(shared, len(table.columns)) if _has_prose(table, place)]
    body = table.only(places)
    lines = _block(table.only(range(shared)), rows[0][:shared], width)
    lines.append(_joined(body.headings, body.words, widths))
    for row in rows:
        lines.append(_joined([row[place] for place in places], body.words, widths))
        for place in (place for place in prose if row[place] not in _NOTHING):
            text = f"{table.headings[place]}: {row[place]}"
            lines += [" " * _GAP + part for part in _wrapped(text, max(width - _GAP, 1))]
    return lines


def _absent(table: Table, left_out: Iterable[int], width: int) -> list[str]:
    names = ", ".join(table.headings[place] for place in sorted(left_out))
    return textwrap.wrap(f"(no room for: {names})", max(width, 1)) if names else []


def _has_prose(table: Table, place: int) -> bool:
    return table.words[place] and any(_is_prose(row[place]) for row in table.rows)


def _steps(table: Table) -> list[frozenset[int]]:
    """The columns that are left out, step by step: none, then more."""
    order = sorted(
        (place for place, column in enumerate(table.columns) if column.gives_way),
        key=lambda place: (-table.columns[place].gives_way, -place),
    )
    most = min(len(order), len(table.columns) - 1)  # something is always left
    return [frozenset(order[:count]) for count in range(most + 1)]


def _fitting(table: Table, width: int) -> list[int] | None:
    """The width of every column, sentences made narrower if need be; None if that is not enough."""
    widths = [
        max(map(letters, (heading, *(row[place] for row in table.rows))))
        for place, heading in enumerate(table.headings)
    ]
    prose = [place for place in range(len(widths)) if _has_prose(table, place)]
    excess = sum(widths) + _GAP * (len(widths) - 1) - width
    for place in sorted(prose, key=lambda place: -widths[place]):
        if excess > 0:
            least = max(_LEAST_PROSE, _longest_word(table, place))
            shorter = min(widths[place], max(least, widths[place] - excess))
            excess -= widths[place] - shorter
            widths[place] = shorter
    return widths if excess <= 0 else None


def _is_prose(text: str) -> bool:
    return letters(text) > _LEAST_PROSE and text.count(" ") > 2


def _longest_word(table: Table, place: int) -> int:
    return max((letters(word) for row in table.rows for word in row[place].split()), default=0)


def _lines(table: Table, widths: Sequence[int]) -> list[str]:
    lines = [_joined(table.headings, table.words, widths)]
    lines.append("─" * (sum(widths) + _GAP * (len(widths) - 1)))
    for row in table.rows:
        parts = [
            _wrapped(text, width) if words else [text]
            for text, width, words in zip(row, widths, table.words, strict=True)
        ]
        for place in range(max(map(len, parts))):
            cells = [part[place] if place < len(part) else "" for part in parts]
            lines.append(_joined(cells, table.words, widths))
    return lines


def _joined(cells: Sequence[str], words: Sequence[bool], widths: Sequence[int]) -> str:
    padded = []
    for text, left, width in zip(cells, words, widths, strict=True):
        room = " " * (width - letters(text))
        padded.append(text + room if left else room + text)
    return (" " * _GAP).join(padded).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    if letters(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _block(table: Table, row: Sequence[str], width: int) -> list[str]:
    """A row as lines: every heading with its value, side by side; all but the first indented.

    Of what a row has no value for nothing is said.
    """
    lines: list[str] = []
    line = ""

    def end_line() -> None:
        fits = letters(line) <= width - (_GAP if lines else 0)
        lines.extend([line] if fits else _wrapped(line, max(width - _GAP, 1)))

    pairs = zip(table.headings, row, strict=True)
    for pair in (f"{name} {text}" for name, text in pairs if text not in _NOTHING):
        if line and letters(line) + 3 + letters(pair) > width - (_GAP if lines else 0):
            end_line()
            line = ""
        line = f"{line}   {pair}" if line else pair
    end_line()
    return [*lines[:1], *(" " * _GAP + one for one in lines[1:])]


def letters(text: str) -> int:
    """Places that a text takes; accents that stand over another letter take none.

    >>> letters("f̂ = 1")
    5
    """
    return sum(not unicodedata.combining(letter) for letter in text)
