"""Approximation over width and TT-rank: eqs 7 to 9, each beside what training reaches."""

from typing import TYPE_CHECKING

from ntklab.lazy_names import lazily

if TYPE_CHECKING:
    from ntklab.experiments.approximation.cell import run_approximation_cell
    from ntklab.experiments.approximation.config import ApproximationConfig, curve_cells
    from ntklab.experiments.approximation.experiment import APPROXIMATION, TRUNCATED

__all__ = [
    "APPROXIMATION",
    "TRUNCATED",
    "ApproximationConfig",
    "curve_cells",
    "run_approximation_cell",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "cell": ("run_approximation_cell",),
        "config": ("ApproximationConfig", "curve_cells"),
        "experiment": ("APPROXIMATION", "TRUNCATED"),
    },
)
