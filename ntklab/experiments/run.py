"""The one runner: an experiment and its configurations in, a record out.

An experiment is a name, a class of configurations, a pure function from a configuration to a cell,
and the columns of its table. `run` does what all of them need: folder and resume, several cells at
a time, threads, what is kept on Ctrl-C, provenance, and the record.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from ntklab.configuration import Configuration
from ntklab.experiments.executors import Progress, check_backend, compute
from ntklab.experiments.grid import AXES
from ntklab.records import Cell, Record, RunFolder, cell_id, collect, now
from ntklab.tables import Columns

C = TypeVar("C", bound=Configuration)


@dataclass(frozen=True)
class Plan:
    """A run before it is run.

    Attributes:
        rows: of a table: what is computed, with sizes and costs as far as they are known.
        sentences: how much it is in all, and what to be warned of.
    """

    rows: Sequence[Mapping[str, Any]]
    sentences: Sequence[str]


def all_rows(cell: Cell) -> list[dict[str, Any]]:
    """The row of a cell and those of its parts."""
    return [cell.flat, *cell.flat_parts]


def fixed(configs: Sequence[Configuration]) -> dict[str, Any]:
    """The settings that are no axis: equal in all cells of a folder, which grows along the axes."""
    return {key: value for key, value in configs[0].to_dict().items() if key not in AXES}


def with_axes(configs: Sequence[Configuration]) -> dict[str, Any]:
    """The fixed settings, and the values along every axis."""
    flat = [config.to_dict() for config in configs]
    axes = {key: _once(settings[key] for settings in flat) for key in AXES if key in flat[0]}
    return {**fixed(configs), "axes": axes}


def counted(configs: Sequence[Configuration]) -> Plan:
    """A plan that says no more than how many cells there are, and in what they differ."""
    flat = [config.to_dict() for config in configs]
    varying = [key for key in flat[0] if any(settings[key] != flat[0][key] for settings in flat)]
    rows = [{key: _text(settings[key]) for key in varying} for settings in flat]
    count = "1 cell" if len(configs) == 1 else f"{len(configs)} cells"
    return Plan(rows if varying else [], [f"{count}."])


@dataclass(frozen=True, kw_only=True)
class Experiment(Generic[C]):
    """Everything that `run` must know of an experiment.

    Attributes:
        name: of the command and of the record.
        config: the class of its configurations.
        cell: computes one configuration; a function at the top of a module, so that other
            processes find it. Where `long`, it also takes `running`, the folder of its
            checkpoints, and `progress`, called with steps done and all steps.
        columns: field → heading of the table.
        described: the configuration of the record, of all configurations.
        shared: what all cells of a folder share: it may grow in everything else.
        rows: the rows of the record that a cell gives.
        arrays: the arrays of the record that a cell gives.
        finish: changes all rows together, before they are written.
        complete: all configurations of the run, where some follow from the cells of others (a
            search of a rate); takes the given ones, and a function that finishes a cell.
        check: refuses what cannot be, before the first cell.
        plan: what is said before a run.
        threads: of torch in every cell.
        together: configurations with equal keys go to one worker, to share what it has in memory.
        long: whether a cell keeps checkpoints and says how far it is.
    """

    name: str
    config: type[C]
    cell: Callable[..., Cell]
    columns: Columns
    described: Callable[[Sequence[C]], dict[str, Any]] = with_axes
    shared: Callable[[Sequence[C]], dict[str, Any]] = fixed
    rows: Callable[[Cell], list[dict[str, Any]]] = all_rows
    arrays: Callable[[Cell], Mapping[str, np.ndarray]] = lambda cell: cell.arrays
    finish: Callable[[list[dict[str, Any]]], object] = lambda rows: None
    complete: Callable[[Sequence[C], Callable[[C], Cell]], Sequence[C]] = lambda configs, _: configs
    check: Callable[[Sequence[C]], object] = lambda configs: None
    plan: Callable[[Sequence[C]], Plan] = counted
    threads: Callable[[Sequence[C]], int] = lambda configs: 1
    together: Callable[[C], Hashable] | None = None
    long: bool = False


def run(
    experiment: Experiment[C],
    configs: Sequence[C],
    *,
    out: Path | None = None,
    force: bool = False,
    threads: int | None = None,
    backend: str = "loky",
    jobs: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Record:
    """Compute what is missing, and return the record of all; a folder keeps both.

    Args:
        experiment: what to compute.
        configs: of which configurations.
        out: folder of the run: finished cells are taken from it, new ones go there at once, the
            record comes last. Nothing is kept if None.
        force: forget what is in the folder.
        threads: of torch in every cell; the experiment's own number if None.
        backend: `loky` (processes), `threading` or `dask`, where `jobs` is not 1.
        jobs: cells at a time; −1 for one a processor.
        scheduler: of dask, see `ntklab.distributed.connect`.
        progress: called with (cells done, all cells, the configuration in hand or None).

    Raises:
        InputError: for what a configuration, the backend or the folder refuses.
        KeyboardInterrupt: finished cells, and checkpoints of a long one, stay in the folder; the
            same call goes on where it stopped.

    Example:
        >>> from ntklab.experiments.spectrum import SPECTRUM, SpectrumConfig
        >>> config = SpectrumConfig.of(method="lora", task="synthetic", samples=4)
        >>> [row["rank"] for row in run(SPECTRUM, [config]).results]
        [8]
    """
    check_backend(backend, jobs, scheduler)
    started, start = now(), time.perf_counter()
    experiment.check(configs)
    threads = threads or experiment.threads(configs)
    described = experiment.described(configs)
    folder = None if out is None else RunFolder(out, experiment.shared(configs), force=force)
    done: dict[C, Cell] = {}

    def finish(*wanted: C) -> Cell:
        missing = [config for config in wanted if config not in done]
        cells = compute(
            missing, experiment.cell, folder=folder, backend=backend, jobs=jobs, threads=threads,
            scheduler=scheduler, together=experiment.together, long=experiment.long,
            progress=progress,
        )  # fmt: skip
        done.update(zip(missing, cells, strict=True))
        return done[wanted[0]]

    configs = experiment.complete(configs, finish)
    finish(*configs)
    provenance = collect(
        device=configs[0].get("device"),
        dtype=configs[0].get("dtype"),
        threads=threads,
        started=started,
        seconds=time.perf_counter() - start,
    )
    cells = [done[config] for config in configs]
    record = record_of(experiment, configs, cells, described, provenance)
    if out is not None:
        record.write(out)
    return record


def record_of(
    experiment: Experiment[C],
    configs: Sequence[C],
    cells: Sequence[Cell],
    described: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> Record:
    """The record of finished cells: `cell` in every row, arrays under `<cell>.<name>`."""
    rows: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for config, cell in zip(configs, cells, strict=True):
        name = cell_id(config.to_dict())
        rows += [{"cell": name, **row} for row in experiment.rows(cell)]
        arrays |= {f"{name}.{array}": values for array, values in experiment.arrays(cell).items()}
    experiment.finish(rows)
    return Record(experiment.name, dict(described), dict(provenance), rows, arrays)


def _once(values: Iterable[Any]) -> list[Any]:
    """Each value once, in order; a value may be a list."""
    once: list[Any] = []
    for value in values:
        if value not in once:
            once.append(value)
    return once


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, list | tuple) else value
