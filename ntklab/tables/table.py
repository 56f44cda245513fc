"""A table as text cells, made from rows once; terminal, Markdown and LaTeX write the same cells."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ntklab.tables.shown import shown


@dataclass(frozen=True)
class Column:
    """How a field of the rows is shown.

    Attributes:
        heading: above it.
        gives_way: 0 for a quantity of the question; where a terminal is too narrow, columns of
            larger numbers are left out first.
        interval: whether `<field>_low` and `<field>_high` are its interval, shown in brackets.
    """

    heading: str
    gives_way: int = 0
    interval: bool = False


@dataclass(frozen=True)
class Table:
    """Cells as text, column by column of `columns`.

    Attributes:
        columns: headings and what gives way.
        rows: a text a column.
        words: whether a column holds words, which start at its left; numbers end at its right.

    A notebook shows a table as Markdown.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[bool, ...]

    def _repr_markdown_(self) -> str:
        return in_markdown(self.headings, self.rows)

    @property
    def headings(self) -> tuple[str, ...]:
        """The headings in order."""
        return tuple(column.heading for column in self.columns)

    def only(self, places: Sequence[int]) -> "Table":
        """The table of some of its columns."""

        def chosen(items: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(items[place] for place in places)

        rows = tuple(chosen(row) for row in self.rows)
        return Table(chosen(self.columns), rows, chosen(self.words))

    def with_text(self, change: Callable[[str], str]) -> "Table":
        """The table with every heading and cell changed."""
        columns = tuple(
            Column(change(column.heading), column.gives_way, column.interval)
            for column in self.columns
        )
        return Table(columns, tuple(tuple(map(change, row)) for row in self.rows), self.words)


#: Field → heading, or a column with more to say.
Columns = Mapping[str, str | Column]


def table_of(rows: Sequence[Mapping[str, Any]], columns: Columns | None = None) -> Table:
    """The table of rows of values, each value as `shown` has it.

    Args:
        rows: field → value.
        columns: field → heading, or a `Column`; every field under its own name if None. A column
            that no row has a value for is left out.

    Example:
        >>> rows = [{"method": "lora", "error": 0.5, "error_low": 0.4, "error_high": 0.61, "P": 12}]
        >>> columns = {"method": "method", "error": Column("error", interval=True), "rank": "rank"}
        >>> table_of(rows, columns).rows
        (('lora', '0.5 [0.4, 0.61]'),)
        >>> table_of([{"adapter": "LoRA", "rank": 3}]).headings
        ('adapter', 'rank')
    """
    if columns is None:
        columns = {field: field for row in rows for field in row}
    named = {
        field: column if isinstance(column, Column) else Column(column)
        for field, column in columns.items()
        if any(row.get(field) is not None for row in rows)
    }
    cells = tuple(
        tuple(_cell(row, field, column) for field, column in named.items()) for row in rows
    )
    words = tuple(any(_is_word(row.get(field)) for row in rows) for field in named)
    return Table(tuple(named.values()), cells, words)


def interval(
    value: Any, low: Any, high: Any, form: Callable[[Any], str] = shown, *, unit: str = ""
) -> str:
    """A number with its interval in brackets; the number alone where there is none.

    Example:
        >>> interval(0.5, 0.4, 0.61), interval(0.5, None, None), interval(3, 3, 3)
        ('0.5 [0.4, 0.61]', '0.5', '3')
    """
    if low is None or low == high:
        return form(value) + unit
    return f"{form(value)}{unit} [{form(low)}{unit}, {form(high)}{unit}]"


def in_markdown(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table, which ends in a line feed.

    Example:
        >>> print(in_markdown(["method", "P"], [["lora", 136], ["a|b", 4]]), end="")
        | method | P |
        |---|---|
        | lora | 136 |
        | a\\|b | 4 |
    """
    lines = [_line(headings), "|---" * len(headings) + "|"]
    return "\n".join([*lines, *map(_line, rows)]) + "\n"


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and not _NUMBER.fullmatch(value)


#: Numbers that come as texts, such as "32.3 MiB", "0.99 ± 0.02" or a dash for none.
_NUMBER = re.compile(r"–|[-+−]?\d[\d.]*(e[-+]?\d+)?( [A-Za-z%]+)?( ± [\d.]+)?")


def _line(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _cell(row: Mapping[str, Any], field: str, column: Column) -> str:
    if not column.interval:
        return shown(row.get(field))
    return interval(row.get(field), row.get(f"{field}_low"), row.get(f"{field}_high"))
