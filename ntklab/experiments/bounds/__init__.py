"""Bounds of adapters, each beside what it bounds; gauges of the same functions."""

from typing import TYPE_CHECKING

from ntklab.lazy_names import lazily

if TYPE_CHECKING:
    from ntklab.experiments.bounds.config import BoundsConfig
    from ntklab.experiments.bounds.experiment import BOUNDS, GAUGES, bound_table, gauge_table

__all__ = ["BOUNDS", "GAUGES", "BoundsConfig", "bound_table", "gauge_table"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "config": ("BoundsConfig",),
        "experiment": ("BOUNDS", "GAUGES", "bound_table", "gauge_table"),
    },
)
