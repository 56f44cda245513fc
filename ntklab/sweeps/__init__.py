"""Sweeps: a cell is a pure function of its configuration; a run is many cells and a record."""

from ntklab.sweeps.cell import adapter_for, jacobian_for, run_cell, sampled_task
from ntklab.sweeps.compare import FIGURES, GROUP, compare, differences
from ntklab.sweeps.config import SpectrumConfig, methods_named
from ntklab.sweeps.peak_memory import peak_memory
from ntklab.sweeps.preview import Preview, feature_hashes, preview, previews
from ntklab.sweeps.run import (
    CellProgress,
    fitting_threads,
    run_cells,
    spectrum_record,
    torch_threads,
)

__all__ = [  # noqa: RUF022 — grouped by use
    # one cell
    "SpectrumConfig",
    "methods_named",
    "run_cell",
    "sampled_task",
    "adapter_for",
    "jacobian_for",
    "peak_memory",
    # before the run
    "Preview",
    "preview",
    "previews",
    "feature_hashes",
    # the run
    "CellProgress",
    "run_cells",
    "spectrum_record",
    "torch_threads",
    "fitting_threads",
    # over seeds
    "compare",
    "differences",
    "GROUP",
    "FIGURES",
]
