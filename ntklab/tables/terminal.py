"""A table in a terminal of any width: no number is ever cut."""

import textwrap
import unicodedata
from collections.abc import Sequence

from ntklab.tables.table import Table

_GAP = 2
_LEAST_PROSE = 24  # characters: a column of sentences is not made narrower


def in_terminal(table: Table, width: int) -> str:
    """The table in at most `width` characters, which ends in a line feed.

    Where it is too wide, sentences go over several lines; then columns give way, the largest
    `gives_way` first, and a last line names them; then every row becomes a block of its own.

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
            lines = _lines(table.only(places), widths)
            if left_out:
                names = ", ".join(table.headings[place] for place in sorted(left_out))
                lines += textwrap.wrap(f"(no room for: {names})", max(width, 1))
            return "\n".join(lines) + "\n"
    return "\n".join(line for row in table.rows for line in _block(table, row, width)) + "\n"


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
    prose = [
        place
        for place in range(len(widths))
        if table.words[place] and any(_is_prose(row[place]) for row in table.rows)
    ]
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
    """A row as lines: every heading with its value, side by side; all but the first indented."""
    lines: list[str] = []
    line = ""

    def end_line() -> None:
        fits = letters(line) <= width - (_GAP if lines else 0)
        lines.extend([line] if fits else _wrapped(line, max(width - _GAP, 1)))

    for pair in (f"{name} {text}" for name, text in zip(table.headings, row, strict=True)):
        if line and letters(line) + 3 + letters(pair) > width - (_GAP if lines else 0):
            end_line()
            line = ""
        line = f"{line}   {pair}" if line else pair
    end_line()
    return [lines[0], *(" " * _GAP + one for one in lines[1:])]


def letters(text: str) -> int:
    """Places that a text takes; accents that stand over another letter take none.

    >>> letters("f̂ = 1")
    5
    """
    return sum(not unicodedata.combining(letter) for letter in text)
