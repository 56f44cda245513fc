"""Experiments: a cell is a pure function of its configuration; a run is many cells and a record."""

from typing import TYPE_CHECKING

from ntklab.lazy_names import lazily

if TYPE_CHECKING:
    from ntklab.experiments.planned import run_command

__all__ = ["run_command"]

__getattr__, __dir__ = lazily(__name__, {"planned": ("run_command",)})
