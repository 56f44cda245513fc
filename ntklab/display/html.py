"""Small tables for notebooks, without a style of their own: they take the notebook's."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

_LEFT = ' style="text-align:left"'


def html_table(title: str, lines: Mapping[str, str]) -> str:
    """Names beside values under a title.

    Args:
        title: plain text, escaped.
        lines: values by name, plain text, escaped.

    Example:
        >>> html_table("A & B", {"rank": "3"})
        '<table><caption style="text-align:left">A &amp; B</caption><tr><th \
style="text-align:left">rank</th><td style="text-align:left">3</td></tr></table>'
    """
    rows = "".join(
        f"<tr><th{_LEFT}>{escape(name)}</th><td{_LEFT}>{escape(text)}</td></tr>"
        for name, text in lines.items()
    )
    return f"<table><caption{_LEFT}>{escape(title)}</caption>{rows}</table>"


def html_rows(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a line of headings.

    Args:
        title: plain text, escaped.
        head: one heading a column.
        rows: cells as text, escaped.

    Example:
        >>> html_rows("t", ["a"], [["1 < 2"]]).count("1 &lt; 2")
        1
    """
    top = "".join(f"<th{_LEFT}>{escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td{_LEFT}>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    caption = f"<caption{_LEFT}>{escape(title)}</caption>"
    return f"<table>{caption}<tr>{top}</tr>{body}</table>"
