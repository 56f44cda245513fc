"""A kernel too large for memory, by local workers into a store, some of them killed on the way."""

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ntklab.bench.problem import Problem
from ntklab.bench.scaled.capacity import Demand, Place, capacity_rows
from ntklab.distributed import BlockStore, Recipe
from ntklab.distributed.cluster import dask_distributed
from ntklab.errors import InputError
from ntklab.host_memory import format_memory
from ntklab.jacobians import Jacobian, jacobian, parse_memory
from ntklab.jacobians.shared import shared_gram
from ntklab.jacobians.shared.rows import part_of

Row = dict[str, Any]

# Beside workers: the scheduler and this process, each with torch in it.
_OURS = 2 << 30
_RATE_SIDE = 1024


@dataclass(frozen=True)
class ScaleCase:
    """A kernel in a store of float32 by workers of this machine.

    Attributes:
        name: what `--case` says.
        problem: at its real size.
        quick: at the size of `--quick`.
        chunk: samples a block.
        quick_chunk: those of `--quick`.
        workers: processes.
        memory: of all processes together.
        deaths: workers killed on the way.
        compared: random blocks computed again by this process.
    """

    name: str
    problem: Problem
    quick: Problem
    chunk: int = 1000
    quick_chunk: int = 50
    workers: int = 2
    memory: str = "8GiB"
    deaths: int = 2
    compared: int = 20


def scale_rows(
    case: ScaleCase, *, quick: bool, repeats: int, device: str, budget: float
) -> list[Row]:
    """One row of the kernel, and one of each place that its speed is carried over to.

    Args:
        case: what to compute.
        quick: whether the small form.
        repeats: not used: a run of minutes is taken once.
        device: where workers compute.
        budget: not used.
    """
    problem, chunk = (case.quick, case.quick_chunk) if quick else (case.problem, case.chunk)
    demand = Demand(problem.samples, problem.outputs, _params(problem), chunk)
    row: Row = {
        **{"kind": "scale", "case": case.name, "contender": f"{case.workers} workers"},
        **{"method": problem.method, "params": demand.params, "samples": problem.samples},
        **{"outputs": demand.side, "chunk": chunk, "reason": None},
    }
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < 2 * demand.stored:
        needed = format_memory(2 * demand.stored)
        return [row | {"reason": f"needs {needed} of disk, {format_memory(free)} are free"}]
    try:
        dask_distributed()
    except InputError as error:
        return [row | {"reason": str(error)}]
    with tempfile.TemporaryDirectory() as folder:
        row |= _measured(case, problem, demand, device, Path(folder) / "kernel.zarr")
    memory = (parse_memory(case.memory) - _OURS) // case.workers
    return [row, *capacity_rows(row["flops_per_worker"], memory, free, demand.params)]


def problem_jacobian(problem: dict[str, Any], device: str) -> Jacobian:
    """On a worker: the Jacobian of a problem in float32."""
    made = Problem(**problem)
    return jacobian(made.model(device=device), made.features(device=device))


def matrix_product_rate() -> float:
    """On a worker: flops a second of a float64 matrix product; the best of five."""
    a = torch.randn(_RATE_SIDE, _RATE_SIDE, dtype=torch.float64)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2.0 * _RATE_SIDE**3 / best


def _measured(case: ScaleCase, problem: Problem, demand: Demand, device: str, store: Path) -> Row:
    distributed = dask_distributed()
    each = (parse_memory(case.memory) - _OURS) // case.workers
    recipe = Recipe(
        "ntklab.bench.scaled.case:problem_jacobian",
        {"problem": problem.to_dict(), "device": device},
    )
    J: Jacobian = recipe.build()
    how: dict[str, Any] = {"store": store, "samples_per_chunk": demand.chunk, "recipe": recipe}
    with distributed.LocalCluster(
        n_workers=case.workers, threads_per_worker=1, memory_limit=each, dashboard_address=None,
        silence_logs=50,
    ) as cluster, distributed.Client(cluster) as client:  # fmt: skip
        rate = min(client.run(matrix_product_rate).values())
        killer = _Killer(client, case.deaths)
        start = time.perf_counter()
        with _most_memory() as peak:
            done = shared_gram(J, client, dtype=torch.float32, progress=killer, **how)
        seconds = time.perf_counter() - start
        again = shared_gram(J, client, dtype=torch.float32, **how)
    assert done.store is not None
    place = Place("here", case.workers, rate, each, 2e9, 0.0, "")
    return {
        **{"blocks": done.blocks, "computed": done.computed, "killed": len(killer.killed)},
        **{"by": done.by, "computed_again": again.computed, "seconds": seconds},
        **{"seconds_by_formula": demand.seconds(place), "flops_per_worker": rate},
        **{"peak_bytes": max(peak), "memory": parse_memory(case.memory)},
        **{"stored_bytes": _bytes(store), "stored_by_formula": demand.stored},
        "relative_error": _largest_error(J, done.store, case.compared),
    }


class _Killer:
    """Called with (blocks done, blocks): kills one worker at each of a few even places.

    Of the workers of the start, each once: one that is killed as it starts is not started again.
    """

    def __init__(self, client: Any, deaths: int) -> None:
        self.alive = list(client.run(os.getpid).values())[:deaths]
        self.deaths, self.killed = deaths, list[int]()

    def __call__(self, done: int, blocks: int) -> None:
        due = done * (self.deaths + 1) > blocks * (len(self.killed) + 1)
        if self.alive and due:
            self.killed.append(self.alive.pop())
            os.kill(self.killed[-1], signal.SIGKILL)


@contextmanager
def _most_memory() -> Iterator[list[int]]:
    """Bytes that this process and its children held together, looked at twice a second."""
    import psutil

    held, stop = [0], threading.Event()
    here = psutil.Process()

    def look() -> None:
        while not stop.wait(0.5):
            total = 0
            for process in (here, *here.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.Error:  # it has just died
                    continue
            held.append(total)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield held
    finally:
        stop.set()
        watcher.join()


def _largest_error(J: Jacobian, store: BlockStore, count: int) -> float:
    """Over random blocks: the distance to this process's own block, beside its largest entry."""
    layout, generator = store.layout, torch.Generator().manual_seed(0)
    chosen = torch.randperm(len(layout.blocks), generator=generator)[:count].tolist()
    worst = 0.0
    for i, j in (layout.blocks[place] for place in chosen):
        first = part_of(J, *layout.span(i))
        block = first.gram(None if i == j else part_of(J, *layout.span(j)))
        off = (torch.from_numpy(store.read(i, j)).to(block) - block).abs().max()
        worst = max(worst, float(off / block.abs().max()))
    return worst


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _params(problem: Problem) -> int:
    return sum(p.numel() for p in problem.model().parameters() if p.requires_grad)
