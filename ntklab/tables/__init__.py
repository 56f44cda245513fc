"""Tables for people: in a terminal, as Markdown, as LaTeX; numbers and letters as they are shown.

Nothing here knows what a number means, and nothing heavy is imported.
"""

from ntklab.tables.ascii import holds, in_ascii
from ntklab.tables.shown import shown, typeset

__all__ = ["holds", "in_ascii", "shown", "typeset"]
