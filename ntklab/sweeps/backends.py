"""Cells on many processors, threads or machines: joblib in front, the run folder behind.

A worker writes a cell to the folder itself, as soon as it is finished. Whatever kills the run
(Ctrl-C, SIGKILL, a lost machine) therefore takes only the cells in hand with it.
"""

import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, TypeVar

import torch

from ntklab.errors import InputError, MissingExtraError, unknown
from ntklab.records import Cell, RunFolder
from ntklab.sweeps.run import torch_threads

BACKENDS = ("loky", "threading", "dask")


class CellConfig(Protocol):
    """Any frozen configuration of a cell."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        ...


C = TypeVar("C", bound=CellConfig)

#: Called with (cells done, cells in all) whenever a cell is finished.
Count = Callable[[int, int], None]


def run_everywhere(
    configs: Sequence[C],
    run: Callable[[C], Cell],
    *,
    folder: RunFolder | None = None,
    backend: str = "loky",
    jobs: int = 1,
    threads: int = 1,
    progress: Count | None = None,
    scheduler: str | None = None,
    together: Callable[[C], Hashable] | None = None,
) -> list[Cell]:
    """Compute the cells that are not yet in the folder, several at once; return all, in order.

    Every cell runs with the same number of torch threads whatever the backend, so that results
    do not depend on how the work was shared.

    Args:
        configs: the cells; they do not depend on each other.
        run: computes one cell; a function at the top of a module, so that processes can find it.
        folder: where finished cells are kept; nowhere if None. With dask, machines must share it.
        backend: "loky" (processes), "threading", or "dask".
        jobs: cells at a time; −1 for one a processor.
        threads: of torch, for each cell.
        progress: told how many are done.
        scheduler: address of a running dask scheduler; a cluster on this machine if None, or the
            client that the caller has opened.
        together: cells with equal keys go to one worker, one after the other, so that they can
            share what a process keeps in memory.

    Raises:
        InputError: an unknown backend, jobs = 0, a worker that died, or what a cell refuses.
        MissingExtraError: dask without the extra `cluster`.

    Example:
        >>> from ntklab.sweeps import SpectrumConfig, run_cell
        >>> first = SpectrumConfig.of(method="lora", task="synthetic", samples=2)
        >>> configs = [first, first.with_(samples=4)]
        >>> found = run_everywhere(configs, run_cell, backend="threading", jobs=2)
        >>> [cell.row["rank"] for cell in found]
        [4, 8]
    """
    check_backend(backend, jobs)
    done = dict(_kept(configs, folder))
    left = [place for place in range(len(configs)) if place not in done]
    if progress is not None:
        progress(len(done), len(configs))
    if left:
        batches: dict[Hashable, list[int]] = {}
        for place in left:
            key = place if together is None else together(configs[place])
            batches.setdefault(key, []).append(place)
        jobs = min(jobs if jobs > 0 else os.cpu_count() or 1, len(batches))
        tasks = [
            ([(place, configs[place]) for place in places], run, folder, threads)
            for places in batches.values()
        ]
        with torch_threads(threads):
            for found in _finished(tasks, backend, jobs, threads, scheduler):
                done.update(found)
                if progress is not None:
                    progress(len(done), len(configs))
    return [done[place] for place in range(len(configs))]


def check_backend(backend: str, jobs: int) -> None:
    """Refuse what cannot run, before anything is computed.

    Raises:
        InputError: an unknown backend or jobs = 0.
        MissingExtraError: dask without the extra `cluster`.
    """
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    if jobs == 0 or jobs < -1:
        raise InputError(f"jobs = {jobs} must be at least 1, or -1 for one a processor.")
    if backend == "dask":
        _distributed()


def _kept(configs: Sequence[C], folder: RunFolder | None) -> Iterator[tuple[int, Cell]]:
    for place, config in enumerate(configs):
        cell = None if folder is None else folder.load(config.to_dict())
        if cell is not None:
            yield place, cell


def _finished(
    tasks: Sequence[tuple[Any, ...]], backend: str, jobs: int, threads: int, scheduler: str | None
) -> Iterator[list[tuple[int, Cell]]]:
    """Cells as they are finished, in whatever order."""
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    if backend == "loky" and jobs == 1:
        for task in tasks:
            yield _job(*task)  # a process more would only cost its start
        return
    options = {"inner_max_num_threads": threads} if backend == "loky" else {}
    with (
        _client(jobs, scheduler) if backend == "dask" else nullcontext(),
        parallel_config(backend=backend, n_jobs=jobs, **options),
    ):
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
    run: Callable[[Any], Cell],
    folder: RunFolder | None,
    threads: int,
) -> list[tuple[int, Cell]]:
    # Not put back: in a worker nobody else asks, and threads of one process would race for it.
    torch.set_num_threads(threads)
    found = []
    for place, config in cells:
        cell = run(config)
        if folder is not None:
            folder.save(config.to_dict(), cell)
        found.append((place, cell))
    return found


@contextmanager
def _client(jobs: int, scheduler: str | None) -> Iterator[None]:
    distributed = _distributed()
    if scheduler is None:
        try:
            distributed.get_client()
        except ValueError:
            pass
        else:
            yield
            return
        with (
            distributed.LocalCluster(
                n_workers=jobs, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster),
        ):
            yield
        return
    try:
        client = distributed.Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no dask scheduler answers at {scheduler}: start one, or leave --scheduler out for a "
            "cluster on this machine."
        ) from error
    with client:
        yield


def _distributed() -> Any:
    try:
        import dask.distributed
    except ImportError as error:
        raise MissingExtraError("the backend dask", "cluster") from error
    return dask.distributed
