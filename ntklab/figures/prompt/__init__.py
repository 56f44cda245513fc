"""Figures of the prompt task's panel: every method predicted, fine-tuned, and ranked."""

from ntklab.figures.prompt.curves import learning_caption, learning_figure, learning_table
from ntklab.figures.prompt.panel import (
    CANDIDATES,
    COMMAND,
    accuracy_caption,
    accuracy_figure,
    accuracy_table,
    panel_styles,
    ranking_caption,
    ranking_figure,
    ranking_table,
)

__all__ = [  # noqa: RUF022 - grouped by figure
    "COMMAND",
    # predicted beside measured accuracy
    "accuracy_figure",
    "accuracy_table",
    "accuracy_caption",
    # what ranks methods
    "ranking_figure",
    "ranking_table",
    "ranking_caption",
    "CANDIDATES",
    # learning curves
    "learning_figure",
    "learning_table",
    "learning_caption",
    # their looks
    "panel_styles",
]
