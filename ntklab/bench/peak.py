"""Peak memory of one computation, in a process of its own: `python -m ntklab.bench.peak JSON`.

The child prints one line of JSON. Its memory is counted from after a tiny computation of the same
kind, the compiled loop and one matrix product, so that only the problem is measured: what loads
late is loaded (tens of MiB of torch for forward mode, numba and the code it keeps), and the linear
algebra has its packing buffers (up to 20 MiB).

The child gives freed arrays back to the system at once. By default glibc keeps those below a limit
that grows with use to 32 MiB, and the same arrays then measure up to twice as much, depending on
what was freed before: what a long process holds beyond these figures is glibc's to give back.
"""

import ctypes
import gc
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ntklab import accelerator
from ntklab.bench.contenders import all_contenders, stated_bytes
from ntklab.bench.problem import Problem
from ntklab.experiments.peak_memory import peak_memory
from ntklab.jacobians import jacobian
from ntklab.spectra import spectrum
from ntklab.tensor_train import ShiftedCore

SPECTRUM = "spectrum"

_STATUS = Path("/proc/self/status")
# What glibc starts with; a value that is set does not grow.
_GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": str(128 << 10)}
# Smaller products leave buffers of MKL that larger ones find too small.
_POOL_SIZE = 2048


def measure_apart(
    problem: Problem,
    what: str,
    *,
    device: str = "cpu",
    threads: int = 2,
    peers: bool = False,
    limit: float = 900.0,
) -> dict[str, Any]:
    """Run one computation in a fresh process.

    Args:
        problem: the head and its features.
        what: a contender's name, or "spectrum".
        device: where.
        threads: of torch.
        peers: whether the contender is another library's.
        limit: seconds after which the process is ended.

    Returns:
        `peak_bytes` above the start and `seconds`, with what the contender stated or the spectrum
        held; or `reason` alone where it failed.
    """
    request: dict[str, Any] = {"problem": problem.to_dict(), "what": what, "device": device}
    request |= {"threads": threads, "peers": peers}
    command = [sys.executable, "-m", "ntklab.bench.peak", json.dumps(request)]
    environment = os.environ | _GIVE_BACK
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return {"reason": f"took more than {limit:.0f} s"}
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return {"reason": f"failed: {last[0]}"}
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure_here(request: dict[str, Any]) -> dict[str, Any]:
    """Measure in this process, the child of `measure_apart`."""
    torch.set_num_threads(request["threads"])
    problem, what, device = Problem(**request["problem"]), request["what"], request["device"]
    _warm_up(problem, what, device, request["peers"])
    before = reset_peak(device)
    if what == SPECTRUM:
        figures = _spectrum(problem, device)
        return {"peak_bytes": peak_bytes(device) - before, **figures}
    model, x = problem.model(device=device), problem.features(device=device)
    run = all_contenders(peers=request["peers"])[what].prepare(model, x)
    start = time.perf_counter()
    kernel = run()
    seconds = time.perf_counter() - start
    peak = peak_bytes(device) - before  # before the statement, which computes as well
    stated = stated_bytes(what, model, x)
    return {"peak_bytes": peak, "seconds": seconds, "rows": kernel.shape[0], **stated}


def _warm_up(problem: Problem, what: str, device: str, peers: bool) -> None:
    """Load and fill what any problem of this kind would, and give back what it leaves behind."""
    tiny = tiny_problem(problem)
    if what == SPECTRUM:
        _spectrum(tiny, device)
    else:
        model, x = tiny.model(device=device), tiny.features(device=device)
        all_contenders(peers=peers)[what].prepare(model, x)()
    for dtype in (torch.float32, torch.float64):
        _meet_once(dtype)  # tiny layers do not take the compiled loop
        square = torch.ones(_POOL_SIZE, _POOL_SIZE, dtype=dtype, device=device)
        torch.mm(square, square.T)
    del square
    gc.collect()
    with suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)


def _meet_once(dtype: torch.dtype) -> None:
    tile = torch.ones(1, 1, dtype=dtype)
    core = ShiftedCore(tile, tile.unsqueeze(2), blocks=1, size=1, tail=0)
    filters = tile.reshape(1, 1, 1, 1)
    core.meet(tile, filters, filters[..., :0], tile.unsqueeze(2), 0)


def tiny_problem(problem: Problem) -> Problem:
    """A problem of the same method and kind of layer that takes next to no memory.

    It has more samples than features, as the measured ones do, so that it goes the same way.

    Example:
        >>> tiny_problem(Problem("lora", 1000, sizes={"rank": 4})).samples
        48
    """
    sizes = {name: problem.sizes[name] for name in ("activation",) if name in problem.sizes}
    if problem.sizes.get("width") is not None:
        sizes["width"] = min(problem.sizes["width"], 32)
    return Problem(problem.method, 48, 32, 2, sizes)


def _spectrum(problem: Problem, device: str) -> dict[str, Any]:
    """A whole spectrum in float64, the precision in which eigenvalues are worth having."""
    model = problem.model(torch.float64, device)
    x = problem.features(torch.float64, device)
    start = time.perf_counter()
    result = spectrum(jacobian(model, x))
    seconds = time.perf_counter() - start
    nonzero = result.multiplicity[result.eigenvalues > 0]
    return {
        "seconds": seconds,
        "params": result.parameters,
        "rank": result.rank,
        "rank_decided": result.rank_decided,
        "rank_bound": model.rank_bound(problem.samples),  # type: ignore[operator]
        "rows": result.size,
        "lambda_max": result.lambda_max,
        "lambda_min_nonzero": result.lambda_min_nonzero,
        "distinct_listed": len(nonzero),
        "largest_multiplicity": int(nonzero.max()) if len(nonzero) else 0,
        "route": result.route,
    }


def reset_peak(device: str) -> int:
    """Forget the peak so far, where the system can; what is held now."""
    if accelerator.is_accelerator(device):
        accelerator.reset_peak(device)
    elif _STATUS.exists():
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes(device)


def peak_bytes(device: str) -> int:
    """The most held since the last reset.

    Linux hands `getrusage`'s maximum from parent to child, so a small child of a large parent
    would show the parent's; the kernel's own high-water mark of the address space starts afresh.
    """
    if not accelerator.is_accelerator(device) and _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(peak_memory(device)["peak_memory_bytes"])


if __name__ == "__main__":
    result = measure_here(json.loads(sys.argv[1]))
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    # Threads of other people's runtimes may outlive the answer.
    os._exit(0)
