"""How results show themselves: one line of text, a small table in a notebook, axes, a frame."""

from ntklab.display.draw import axes_or_new
from ntklab.display.frame import frame_of, frame_of_columns
from ntklab.display.html import html_rows, html_table
from ntklab.display.text import OneLine, ShortRepr, brief

__all__ = [
    "OneLine",
    "ShortRepr",
    "axes_or_new",
    "brief",
    "frame_of",
    "frame_of_columns",
    "html_rows",
    "html_table",
]
