"""A cluster for the length of a block, and its failures as sentences."""

import asyncio
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ntklab.errors import InputError, MissingExtraError

_LOCAL = re.compile(r"local(?::(\d+))?")
_PATIENCE = 10  # seconds until a scheduler must have answered
# A worker that dies as it starts is not started again: with none left, dask would wait for ever.
_WITHOUT_WORKERS = {"distributed.scheduler.no-workers-timeout": "120s"}


@contextmanager
def connect(scheduler: Any = None, *, workers: int | None = None) -> Iterator[Any]:
    """A dask client for the length of the block; what is opened here is closed again.

    Args:
        scheduler: `local:4` (as many processes on this machine) or `local` (one a processor), the
            address of a running scheduler, the file that `dask scheduler --scheduler-file` writes,
            or a client. None takes the client that the caller has opened, else a local cluster.
        workers: of a local cluster for which no number is given.

    Raises:
        InputError: a word that is none of these, or nobody answers.
        MissingExtraError: without the extra `cluster`.
    """
    distributed = dask_distributed()
    if isinstance(scheduler, distributed.Client):
        yield scheduler
        return
    if scheduler is None:
        try:
            client = distributed.get_client()
        except ValueError:
            scheduler = "local"
        else:
            yield client
            return
    local = _LOCAL.fullmatch(str(scheduler))
    if local:
        count = int(local[1]) if local[1] else workers or os.cpu_count() or 1
        with _local(distributed, count) as client:
            yield client
        return
    with _running(distributed, str(scheduler)) as client:
        yield client


@contextmanager
def _local(distributed: Any, count: int) -> Iterator[Any]:
    if count < 1:
        raise InputError("local:0 has no workers: write local:4 for four processes.")
    import dask

    with dask.config.set(_WITHOUT_WORKERS):
        cluster = distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=None, silence_logs=50
        )
    with cluster, distributed.Client(cluster) as client:
        yield client


def _running(distributed: Any, scheduler: str) -> Any:
    of_file = scheduler.endswith(".json")
    place = {"scheduler_file": scheduler} if of_file else {"address": scheduler}
    try:
        if of_file:
            _wait_for(Path(scheduler))  # dask itself would wait for ever
        return distributed.Client(timeout=_PATIENCE, **place)
    except (TimeoutError, OSError, ValueError) as error:
        raise InputError(
            f"no dask scheduler answers at {scheduler}: start one, or write local:4 for four "
            "processes on this machine."
        ) from error


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not file.exists():
        if time.monotonic() > deadline:
            raise FileNotFoundError(file)
        time.sleep(0.05)


def completed(futures: Sequence[Any], kept: str) -> Iterator[Any]:
    """The results of futures as they are finished, in whatever order.

    What a lost worker had in hand is computed again by another; a future is let go as soon as its
    result is here.

    Args:
        futures: what was submitted.
        kept: where finished work stands, for the sentence of a failure.

    Raises:
        InputError: the scheduler is gone, one task has taken several workers with it, or there
            has been no worker for as long as the scheduler allows.
    """
    distributed = dask_distributed()
    if not futures:
        return
    # By the loop of whoever submitted them: dask takes that of the client opened last, which may
    # be closed, and then waits for ever.
    ready = distributed.as_completed(futures, loop=futures[0].client.loop)
    # A reference here would hold finished results on the workers.
    for future in ready:
        try:
            result = future.result()
        except distributed.KilledWorker as error:
            raise InputError(
                f"workers died again and again over one task, perhaps for want of memory: {kept}; "
                "take smaller blocks or give workers more memory, and run the same command again."
            ) from error
        except _no_worker() as error:
            raise InputError(
                f"no worker is left, perhaps for want of memory: {kept}; take smaller blocks or "
                "give workers more memory, and run the same command again."
            ) from error
        except (distributed.CancelledError, asyncio.CancelledError, OSError) as error:
            # The client may not know yet that its scheduler is gone, but a task that raised has
            # told so.
            if isinstance(error, OSError) and future.status == "error":
                raise
            raise InputError(
                f"the dask scheduler went away: {kept}; start one and run the same command again."
            ) from error
        future.release()
        yield result


def _no_worker() -> tuple[type[Exception], ...]:
    """Errors of a task that found no worker; their names depend on dask's version."""
    from distributed import scheduler

    names = ("NoWorkerError", "NoValidWorkerError")
    return tuple(getattr(scheduler, name) for name in names if hasattr(scheduler, name))


def worker_memory(client: Any) -> int | None:
    """Bytes that all workers together may take; None where one has no limit.

    Example:
        >>> class Two:
        ...     def scheduler_info(self, **_):
        ...         return {"workers": {"a": {"memory_limit": 5}, "b": {"memory_limit": 6}}}
        >>> worker_memory(Two())
        11
    """
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    limits = [worker.get("memory_limit") or 0 for worker in workers]
    return sum(limits) if limits and all(limits) else None


def dask_distributed() -> Any:
    """The module `dask.distributed`.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import dask.distributed
    except ImportError as error:
        raise MissingExtraError("working with dask", "cluster") from error
    return dask.distributed
