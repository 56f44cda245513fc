"""The rows of one kernel case: every contender in turns, beside the floor of the same run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from ntklab.adapters import Adapter
from ntklab.bench.agreement import Truth
from ntklab.bench.cases import KernelCase
from ntklab.bench.contenders import REFERENCE, Contender, all_contenders
from ntklab.bench.floor import GEMM, STREAM, Calibration, Floor, Speeds, floor
from ntklab.bench.peak import measure_apart
from ntklab.bench.problem import Problem
from ntklab.bench.timing import SETTLE, Timing, clock, in_turns, synchronizer

Row = dict[str, Any]

_PROBE_SAMPLES = 8
# Seconds after which a run is more than the overhead of its calls.
_NO_OVERHEAD_ABOVE = 1.0
# Seconds that a first call may take because it loads and compiles.
_MAY_BE_COMPILING = 20.0
# A process of its own costs seconds before it does anything.
_WEIGHED_IN_QUICK_RUNS = ("structured", REFERENCE)


@dataclass(frozen=True)
class Settings:
    """How a bench is run.

    Attributes:
        quick: the small form of every case.
        repeats: runs that count.
        threads: of torch.
        device: where.
        peers: whether other libraries run too.
        peak: whether memory is measured, in further processes; in the quick form only that of
            the structured engine and of the tutorial's Jacobian contraction.
        limit: a contender expected to take longer, in seconds, is not started.
        budget: seconds after which a contender is not run again.
    """

    quick: bool = False
    repeats: int = 5
    threads: int = 2
    device: str = "cpu"
    peers: bool = False
    peak: bool = True
    limit: float = 120.0
    budget: float = 60.0


def kernel_rows(case: KernelCase, settings: Settings) -> list[Row]:
    """One row a contender: time, speed-up over the tutorial, ratio to the floor, error, memory."""
    problem = case.quick if settings.quick else case.problem
    model, x = problem.model(device=settings.device), problem.features(device=settings.device)
    known = all_contenders(peers=settings.peers)
    contenders = {name: each for name, each in known.items() if each.takes(model)}
    rows = {name: _blank(case.name, name, problem, model) for name in contenders}
    runs = {}
    for name, contender in contenders.items():
        rows[name] |= _expected(contender, model, x, settings)
        if rows[name]["reason"] is None:
            runs[name] = contender.prepare(model, x)
    errors: dict[str, float] = {}
    times, bottom, speeds = _race(problem, model, runs, settings, errors)
    reference = times.get(REFERENCE)
    for name in runs:
        rows[name] |= _timed(times[name], reference, bottom, speeds)
        rows[name]["relative_error"] = errors[name]
        if settings.peak and (not settings.quick or name in _WEIGHED_IN_QUICK_RUNS):
            rows[name] |= _memory(problem, name, settings)
    return [*rows.values(), *_absent(case.name, problem, model, settings)]


def _race(
    problem: Problem,
    model: nn.Module,
    runs: dict[str, Callable[[], Tensor]],
    settings: Settings,
    errors: dict[str, float],
) -> tuple[dict[str, Timing], Floor | None, Speeds | None]:
    truth = Truth(problem, torch.float32)

    def inspect(name: str, kernel: Tensor) -> None:
        if name in runs:
            errors[name] = truth.error(kernel)

    race = partial(
        in_turns,
        repeats=settings.repeats,
        budget=settings.budget,
        settle=SETTLE,
        synchronize=synchronizer(settings.device),
        inspect=inspect,
    )
    if not isinstance(model, Adapter):
        return race(runs), None, None
    calibration = Calibration(model, problem.samples, torch.float32, settings.device)
    times = race({**calibration.runs, **runs})
    speeds = calibration.speeds(times[GEMM].median, times[STREAM].median)
    return times, floor(model, problem.samples, speeds, itemsize=4), speeds


def _expected(contender: Contender, model: nn.Module, x: Tensor, settings: Settings) -> Row:
    """From more and more samples, whether the whole would end in time; a failure is a reason too.

    Few samples mostly time the calls themselves, so a small part alone may not condemn a contender:
    only a part that took a second, or the largest.
    """
    count = min(_PROBE_SAMPLES, len(x))
    while True:
        try:
            run = contender.prepare(model, x[:count])
            seconds = clock(run, synchronizer(settings.device))[0]
            if seconds < _MAY_BE_COMPILING:
                seconds = clock(run, synchronizer(settings.device))[0]
        except Exception as error:  # other libraries fail in ways of their own
            return {"reason": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
        expected = seconds * (len(x) / count) ** contender.growth
        if expected <= settings.limit:
            return {"reason": None}
        if seconds > _NO_OVERHEAD_ABOVE or 4 * count >= len(x):
            break
        count *= 4
    return {
        "expected_seconds": expected,
        "reason": f"not run: {expected:.0f} s expected from {count} samples (limit "
        f"{settings.limit:.0f} s)",
    }


def _timed(
    timing: Timing, reference: Timing | None, bottom: Floor | None, speeds: Speeds | None
) -> Row:
    row: Row = {
        "seconds": timing.median,
        "seconds_min": timing.minimum,
        "seconds_first": median(timing.first),
        "runs": len(timing.seconds),
        "speedup": None if reference is None else reference.median / timing.median,
    }
    if bottom is not None and speeds is not None:
        row |= {
            "floor_asked_seconds": bottom.asked,
            "floor_flops_seconds": bottom.flops,
            "floor_traffic_seconds": bottom.traffic,
            "ratio_asked": timing.median / bottom.asked,
            "ratio_flops": timing.median / bottom.flops,
            "ratio_traffic": timing.median / bottom.traffic,
            "floor_route": bottom.route,
            "floor_multiply_adds": bottom.multiply_adds,
            "gemm_multiply_adds_per_second": speeds.multiply_adds,
            "copy_bytes_per_second": speeds.bytes,
        }
    return row


def _memory(problem: Problem, name: str, settings: Settings) -> Row:
    measured = measure_apart(
        problem,
        name,
        device=settings.device,
        threads=settings.threads,
        peers=settings.peers,
        limit=3 * settings.limit,
    )
    if "reason" in measured:
        return {"reason": f"memory: {measured['reason']}"}
    names = ("kernel_bytes", "features_bytes", "chunk_bytes")
    stated: Row = {name: measured[name] for name in names if name in measured}
    row = {"peak_bytes": measured["peak_bytes"], **stated}
    if stated:
        row["peak_ratio"] = measured["peak_bytes"] / sum(stated.values())
    return row


def _blank(case: str, contender: str, problem: Problem, model: nn.Module) -> Row:
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {
        "kind": "kernel",
        "case": case,
        "contender": contender,
        "method": problem.method,
        "width": problem.sizes.get("width"),
        "samples": problem.samples,
        "outputs": problem.samples * problem.outputs,
        "params": trained,
        "seconds": None,
        "reason": None,
    }


def _absent(case: str, problem: Problem, model: nn.Module, settings: Settings) -> list[Row]:
    """A row for every peer that was asked for and is not here, with the reason."""
    if not settings.peers:
        return []
    from ntklab.bench.peers import peers, why_absent

    rows = []
    for module, contender in peers().items():
        reason = why_absent(module)
        if reason is not None and contender.takes(model):
            rows.append(_blank(case, contender.name, problem, model) | {"reason": reason})
    return rows
