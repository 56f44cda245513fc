"""Tables for people: in a terminal, as Markdown, as LaTeX; numbers and letters as they are shown.

Nothing here knows what a number means, and nothing heavy is imported.
"""

from ntklab.tables.ascii import holds, in_ascii
from ntklab.tables.latex import in_latex
from ntklab.tables.shown import shown, typeset
from ntklab.tables.table import Column, Columns, Table, in_markdown, interval, table_of
from ntklab.tables.terminal import in_terminal

__all__ = [
    "Column",
    "Columns",
    "Table",
    "holds",
    "in_ascii",
    "in_latex",
    "in_markdown",
    "in_terminal",
    "interval",
    "shown",
    "table_of",
    "typeset",
]
