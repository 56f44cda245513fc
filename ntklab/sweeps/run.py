"""Many cells, one after another, with whatever is already on disk left as it is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ntklab.records import Cell, Record, RunFolder, cell_id
from ntklab.sweeps.cell import run_cell
from ntklab.sweeps.config import SpectrumConfig

_WORTH_THREADS = 2048

#: Called before each cell with (cells done, cells in all, the cell to come or None at the end).
CellProgress = Callable[[int, int, SpectrumConfig | None], None]


def run_cells(
    configs: Sequence[SpectrumConfig],
    *,
    folder: RunFolder | None = None,
    progress: CellProgress | None = None,
    threads: int | None = None,
    run: Callable[[SpectrumConfig], Cell] = run_cell,
) -> list[Cell]:
    """Compute the cells that are not yet in the folder; return all, in the order asked for.

    A cell is on disk as soon as it is finished, so an interrupted run (also by Ctrl-C) goes on
    where it stopped when the same call is made again.

    Args:
        configs: the cells.
        folder: where finished cells are kept; nowhere if None.
        progress: told of every cell.
        threads: of torch while cells are computed; those of the process if None.
        run: computes one cell; cells do not depend on each other.

    Raises:
        InputError: from the first cell that refuses its input.

    Example:
        >>> config = SpectrumConfig.of(method="lora", task="synthetic", samples=4)
        >>> [cell.row["rank"] for cell in run_cells([config])]
        [8]
    """
    cells = []
    with torch_threads(threads):
        for done, config in enumerate(configs):
            if progress is not None:
                progress(done, len(configs), config)
            cells.append(_finished(config, folder, run))
    if progress is not None:
        progress(len(configs), len(configs), None)
    return cells


def spectrum_record(
    configs: Sequence[SpectrumConfig],
    cells: Sequence[Cell],
    *,
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> Record:
    """The record of a run: a row a cell, its arrays under `<cell>.<name>`, `cell` in the row."""
    rows: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for one, cell in zip(configs, cells, strict=True):
        name = cell_id(one.to_dict())
        rows += [{"cell": name, **row} for row in (cell.flat, *cell.flat_parts)]
        arrays |= {f"{name}.{array}": values for array, values in cell.arrays.items()}
    return Record("spectrum", dict(config), dict(provenance), rows, arrays)


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Inside this block torch uses that many threads; None leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fitting_threads(outputs: int, parameters: int) -> int:
    """How many threads a spectrum of this size deserves: one unless its smaller side is large.

    Decompositions of a few hundred rows gain nothing from a second thread and lose much where
    the machine is shared; with one thread, equal seeds also give equal bytes.

    Example:
        >>> fitting_threads(512, 2056)
        1
    """
    return 1 if min(outputs, parameters) < _WORTH_THREADS else torch.get_num_threads()


def _finished(
    config: SpectrumConfig, folder: RunFolder | None, run: Callable[[SpectrumConfig], Cell]
) -> Cell:
    key = config.to_dict()
    kept = folder.load(key) if folder is not None else None
    if kept is not None:
        return kept
    cell = run(config)
    if folder is not None:
        folder.save(key, cell)
    return cell
