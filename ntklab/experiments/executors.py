"""Cells one after another, or on many processors, threads or machines: joblib in front, the run
folder behind.

Whoever computes a cell writes it to the folder as soon as it is finished. Whatever kills the run
(Ctrl-C, SIGKILL, a lost machine) therefore takes only the cells in hand with it.
"""

import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import torch

from ntklab import accelerator
from ntklab.distributed.cluster import completed, connect, dask_distributed
from ntklab.errors import InputError, unknown
from ntklab.records import Cell, RunFolder

BACKENDS = ("loky", "threading", "dask")


class CellConfig(Protocol):
    """Any frozen configuration of a cell."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        ...


C = TypeVar("C", bound=CellConfig)

#: Called with (cells done, cells in all, the configuration in hand or None). A cell that says how
#: far it is counts by its part.
Progress = Callable[[float, int, Any], object]


def compute(
    configs: Sequence[C],
    cell: Callable[..., Cell],
    *,
    folder: RunFolder | None = None,
    backend: str = "loky",
    jobs: int = 1,
    threads: int = 1,
    progress: Progress | None = None,
    scheduler: str | None = None,
    together: Callable[[C], Hashable] | None = None,
    long: bool = False,
) -> list[Cell]:
    """Compute the cells that are not yet in the folder; return all, in order.

    Every cell runs with the same number of torch threads whatever the backend, so that results
    do not depend on how the work was shared.

    Args:
        configs: the cells; they do not depend on each other.
        cell: computes one; see `ntklab.experiments.run.Experiment`, as for `together` and `long`.
        folder: where finished cells are kept; nowhere if None. With dask, machines must share it.
        backend: "loky" (processes), "threading", or "dask"; one job of loky stays in this process.
        jobs: cells at a time; −1 for one a processor.
        threads: of torch, for each cell.
        progress: see `Progress`.
        scheduler: see `ntklab.distributed.connect`; a cluster of `jobs` workers on this machine
            if None, or the client that the caller has opened.
        together: cells with equal keys go to one worker, one after the other.
        long: whether a cell takes a folder for its checkpoints and a progress of its own.

    Raises:
        InputError: an unknown backend, jobs = 0, a worker that died, or what a cell refuses.
        MissingExtraError: dask without the extra `cluster`.

    Example:
        >>> from ntklab.experiments.spectrum import SpectrumConfig, run_cell
        >>> first = SpectrumConfig.of(method="lora", task="synthetic", samples=2)
        >>> cells = compute([first, first.with_(samples=4)], run_cell, backend="threading", jobs=2)
        >>> [cell.row["rank"] for cell in cells]
        [4, 8]
    """
    check_backend(backend, jobs, scheduler)
    done = dict(_kept(configs, folder))
    tell: Progress = progress or (lambda *_: None)
    jobs = min(jobs if jobs > 0 else os.cpu_count() or 1, max(len(configs) - len(done), 1))
    with torch_threads(threads):
        if backend == "loky" and jobs == 1:  # a process more would only cost its start
            for place, config in enumerate(configs):
                if place not in done:
                    steps = _steps(tell, len(done), len(configs), config)
                    tell(len(done), len(configs), config)
                    done[place] = _finished(config, cell, folder, long, steps)
            tell(len(done), len(configs), None)
        else:
            tell(len(done), len(configs), None)
            batches = _batches(configs, done, together)
            tasks = [([(p, configs[p]) for p in b], cell, folder, threads, long) for b in batches]
            for finished in _everywhere(tasks, backend, min(jobs, len(tasks)), threads, scheduler):
                done.update(finished)
                tell(len(done), len(configs), None)
    return [done[place] for place in range(len(configs))]


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Inside this block torch uses that many threads; None leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_backend(backend: str, jobs: int, scheduler: Any = None) -> None:
    """Refuse what cannot run, before anything is computed.

    Raises:
        InputError: an unknown backend, jobs = 0, or a scheduler for another backend than dask.
        MissingExtraError: dask without the extra `cluster`.
    """
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    if jobs == 0 or jobs < -1:
        raise InputError(f"jobs = {jobs} must be at least 1, or -1 for one a processor.")
    if scheduler is not None and backend != "dask":
        raise InputError(f"--scheduler {scheduler} needs --backend dask, not {backend}.")
    if backend == "dask":
        dask_distributed()


def _kept(configs: Sequence[C], folder: RunFolder | None) -> Iterator[tuple[int, Cell]]:
    for place, config in enumerate(configs):
        cell = None if folder is None else folder.load(config.to_dict())
        if cell is not None:
            yield place, cell


def _batches(
    configs: Sequence[C], done: dict[int, Cell], together: Callable[[C], Hashable] | None
) -> list[list[int]]:
    """The places of what is left, those of one worker side by side."""
    batches: dict[Hashable, list[int]] = {}
    for place, config in enumerate(configs):
        if place not in done:
            batches.setdefault(place if together is None else together(config), []).append(place)
    return list(batches.values())


def _steps(tell: Progress, done: int, total: int, config: Any) -> Callable[[int, int], object]:
    """A long cell moves the bar too, so that the time left is told from its start."""
    return lambda step, steps: tell(done + step / steps, total, config)


def _finished(
    config: Any, cell: Callable[..., Cell], folder: RunFolder | None, long: bool, steps: Any = None
) -> Cell:
    key = config.to_dict()
    running = None if folder is None else folder.running(key)
    if accelerator.is_accelerator(device := key.get("device", "cpu")):
        accelerator.reset_peak(device)  # `peak_memory` is then the cell's own
    finished = cell(config, running=running, progress=steps) if long else cell(config)
    if folder is not None:
        folder.save(key, finished)
    return finished


def _everywhere(
    tasks: Sequence[tuple[Any, ...]], backend: str, jobs: int, threads: int, scheduler: str | None
) -> Iterator[list[tuple[int, Cell]]]:
    """Cells as they are finished, in whatever order."""
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    if backend == "dask":
        with connect(scheduler, workers=jobs) as client:
            futures = [client.submit(_job, *task, pure=False) for task in tasks]
            yield from completed(futures, "finished cells are kept where --out was given")
        return
    options = {"inner_max_num_threads": threads} if backend == "loky" else {}
    with parallel_config(backend=backend, n_jobs=jobs, **options):
        parallel = Parallel(return_as="generator_unordered", batch_size=1)
        try:
            yield from parallel(delayed(_job)(*task) for task in tasks)
        except TerminatedWorkerError as error:
            raise InputError(
                "a worker process was killed, perhaps for want of memory: finished cells are kept "
                "where --out was given; run it again with fewer --jobs."
            ) from error


def _job(
    cells: Sequence[tuple[int, CellConfig]],
    cell: Callable[..., Cell],
    folder: RunFolder | None,
    threads: int,
    long: bool,
) -> list[tuple[int, Cell]]:
    # Not put back: in a worker nobody else asks, and threads of one process would race for it.
    torch.set_num_threads(threads)
    done = []
    for place, config in cells:
        # dask gives what a lost worker had in hand to another: its finished cells are there.
        stored = None if folder is None else folder.load(config.to_dict())
        done.append((place, stored or _finished(config, cell, folder, long)))
    return done
