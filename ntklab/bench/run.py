"""A whole bench: cases in, one record out."""

import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import torch

from ntklab import accelerator
from ntklab.bench.blocks import block_rows
from ntklab.bench.cases import (
    BlockCase,
    Case,
    CheckCase,
    Curve,
    KernelCase,
    SpectrumCase,
    TrainingCase,
    VocabularyCase,
    cases_named,
)
from ntklab.bench.checks import check_rows
from ntklab.bench.curves import ASKED, axis_value, fit_power, measure_curve
from ntklab.bench.inside.models import ModelCase, model_rows
from ntklab.bench.inside.vocabulary import vocabulary_rows
from ntklab.bench.kernels import Row, Settings, kernel_rows
from ntklab.bench.peak import SPECTRUM, measure_apart
from ntklab.bench.scaled.case import ScaleCase, scale_rows
from ntklab.bench.training import training_rows
from ntklab.errors import InputError
from ntklab.records import Record, collect, now


def run_bench(
    names: Iterable[str] = (),
    settings: Settings | None = None,
    *,
    say: Callable[[str], None] = lambda text: None,
    save: Callable[[Record], None] = lambda record: None,
) -> Record:
    """Measure the named cases (all if none) and keep every number in one record.

    Rows have a `kind`: "kernel" (a contender on a case), "spectrum" (a whole spectrum),
    "point" (of a cost curve), "fit" (its exponent), "training" (a loop of steps), "block" (a
    size of the sweep's block), "check" (the comparison with `loop` within a kernel), "model" (a
    kernel inside a model), "vocabulary" (its trace over all next-token logits), "scale" (a kernel
    shared among workers) and "capacity" (what fits).

    Args:
        names: of `ntklab.bench.CASES`.
        settings: how.
        say: told which case is next.
        save: given the record so far after every case, so that a stopped run loses one at most.

    Raises:
        InputError: unknown case, repeats or threads below 1, or a limit that is not positive.

    Example:
        >>> tiny = Settings(quick=True, repeats=1, threads=1, peak=False)
        >>> record = run_bench(["lora-64"], tiny)
        >>> sorted({row["kind"] for row in record.results})
        ['kernel']
    """
    settings = settings or Settings()
    for name in ("repeats", "threads"):
        if getattr(settings, name) < 1:
            raise InputError(f"{name} = {getattr(settings, name)} must be at least 1.")
    if not settings.limit > 0:  # nor is a NaN
        raise InputError(f"limit = {settings.limit} must be a positive number of seconds.")
    cases = cases_named(names)
    started, start = now(), time.perf_counter()
    before = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    config: dict[str, Any] = {"cases": [case.name for case in cases], **asdict(settings)}
    config["machine"] = machine(settings.device)
    # Threads that spin while they wait make every time tenfold where others use the same cores.
    config["omp_wait_policy"] = os.environ.get("OMP_WAIT_POLICY")
    config["gomp_spincount"] = os.environ.get("GOMP_SPINCOUNT")
    # Taken once: what is saved after a case may lie in the tree that is measured.
    source = collect(device=settings.device, dtype="float32", started=started, seconds=0.0)
    rows: list[Row] = []

    def so_far() -> Record:
        seconds = time.perf_counter() - start
        return Record("bench", config, source | {"seconds": seconds}, list(rows))

    try:
        for place, case in enumerate(cases):
            say(f"{place + 1}/{len(cases)} {case.name}")
            rows += case_rows(case, settings)
            save(so_far())
        return so_far()
    finally:
        torch.set_num_threads(before)


def case_rows(case: Case, settings: Settings) -> list[Row]:
    """The rows of one case of any kind."""
    if isinstance(case, KernelCase):
        return kernel_rows(case, settings)
    if isinstance(case, SpectrumCase):
        return [_spectrum_row(case, settings)]
    how: dict[str, Any] = {"quick": settings.quick, "repeats": settings.repeats}
    how |= {"device": settings.device, "budget": settings.budget}
    timed: dict[type, Callable[..., list[Row]]]
    timed = {
        TrainingCase: training_rows,
        BlockCase: block_rows,
        CheckCase: check_rows,
        VocabularyCase: vocabulary_rows,
        ScaleCase: scale_rows,
    }
    if type(case) in timed:
        return timed[type(case)](case, **how)
    if isinstance(case, ModelCase):
        return model_rows(case, **how, peak=settings.peak, peers=settings.peers)
    assert isinstance(case, Curve)
    return _curve_rows(case, settings)


def machine(device: str) -> str:
    """The machine in words that fit a table's caption.

    Example:
        >>> machine("cpu").split()[0].endswith("-core")
        True
    """
    if accelerator.is_accelerator(device):
        return accelerator.name(device)
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{os.cpu_count()}-core {platform.machine()}, {capability}"


def _spectrum_row(case: SpectrumCase, settings: Settings) -> Row:
    problem = case.quick if settings.quick else case.problem
    measured = measure_apart(
        problem, SPECTRUM, device=settings.device, threads=settings.threads, limit=900.0
    )
    rows = measured.pop("rows", problem.samples * problem.outputs)
    row: Row = {
        "kind": "spectrum",
        "case": case.name,
        "contender": "structured",
        "method": problem.method,
        "width": problem.sizes.get("width"),
        "samples": problem.samples,
        "outputs": rows,
        "seconds": None,
        "reason": None,
    }
    return row | measured


def _curve_rows(curve: Curve, settings: Settings) -> list[Row]:
    points = curve.quick if settings.quick else curve.points
    times = measure_curve(points, settings.repeats, device=settings.device, budget=settings.budget)
    values = [axis_value(curve, point) for point in points]
    rows: list[Row] = []
    for point, value, timing in zip(points, values, times, strict=True):
        rows.append(
            {
                "kind": "point",
                "case": curve.name,
                "contender": "structured",
                "method": point.method,
                "axis": curve.axis,
                "value": value,
                "samples": point.samples,
                "outputs": point.samples * point.outputs,
                "seconds": timing.median,
                "seconds_min": timing.minimum,
                "runs": len(timing.seconds),
                "reason": None,
            }
        )
    law = fit_power(values, [timing.median for timing in times])
    fitted = {
        "kind": "fit",
        "case": curve.name,
        "contender": "structured",
        "method": points[0].method,
        "axis": curve.axis,
        "exponent": law.exponent,
        "exponent_error": law.error,
        "r_squared": law.r_squared,
        "exponent_asked": ASKED.get(curve.axis),
        "reason": None,
    }
    return [*rows, fitted]
