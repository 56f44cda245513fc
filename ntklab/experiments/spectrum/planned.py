"""A run before it is run: shapes, counts, memory, time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from ntklab.adapters.spec import AdapterSpec
from ntklab.errors import InputError
from ntklab.experiments.executors import torch_threads
from ntklab.experiments.spectrum.cell import adapter_for, jacobian_for, rank_bound_for, sampled_task
from ntklab.experiments.spectrum.config import SpectrumConfig
from ntklab.host_memory import enough_memory, format_memory
from ntklab.jacobians import Jacobian
from ntklab.spectra.routes import gram_bytes, svd_bytes

# Multiply-adds of the singular values of an m × n matrix, m ≥ n, in units of m n²: QR (1),
# then bidiagonalization of the triangle, whose half runs at the speed of memory.
_SVD_WORK = 4.0
_PROBE = 256
_WORTH_THREADS = 2048


@dataclass(frozen=True)
class Preview:
    """One adapter of a run, before it is run.

    Attributes:
        adapter: method and sizes as asked for.
        shapes: its tensor trains as text, by name.
        width: M, None for a direct ΔW.
        effective_width: see theory P2.
        parameters: P.
        outputs: N·C.
        rank_bound: of the kernel.
        macs: multiply-adds of the head for one sample.
        memory_bytes: what the Jacobian and the solver will take at most, as estimated.
        seconds: of one cell, as estimated; good to a factor of about 3. None where the rows of one
            sample do not fit (a whole vocabulary), so that there is nothing to time.
        warnings: of the planner, whole sentences.
    """

    adapter: AdapterSpec
    shapes: dict[str, str]
    width: int | None
    effective_width: int | None
    parameters: int
    outputs: int
    rank_bound: int
    macs: int
    memory_bytes: int
    seconds: float | None
    warnings: tuple[str, ...]


@lru_cache(maxsize=64)
def preview(config: SpectrumConfig, *, rows: bool = False) -> Preview:
    """Plan the shapes of a cell and estimate what it takes, without computing its spectrum.

    Loads the task (from the cache of features where it can), so that bad data is refused before
    anything is written.

    Args:
        config: of the cell.
        rows: whether the cell holds all rows of J, whatever the memory allowed.

    Raises:
        InputError: for whatever the cell itself would refuse.

    Example:
        >>> preview(SpectrumConfig.of(method="lora", task="synthetic", samples=8)).parameters
        136
    """
    task = sampled_task(config)
    adapter = adapter_for(config, task)
    J = jacobian_for(config, task, adapter)
    _refuse_too_little(config, J, rows=rows)
    return Preview(
        adapter=config.adapter,
        shapes={name: str(shape) for name, shape in adapter.shapes.items()},
        width=adapter.width,
        effective_width=adapter.effective_width,
        parameters=adapter.parameter_count,
        outputs=J.shape[0],
        rank_bound=rank_bound_for(config, adapter),
        macs=adapter.macs,
        memory_bytes=estimated_memory(J),
        seconds=_seconds(J),
        warnings=adapter.warnings,
    )


def previews(configs: Sequence[SpectrumConfig], *, rows: bool = False) -> list[Preview]:
    """One preview an adapter (a method at its sizes), at the first seed and condition of each."""
    first: dict[AdapterSpec, SpectrumConfig] = {}
    for config in configs:
        first.setdefault(config.adapter, config)
    return [preview(config, rows=rows) for config in first.values()]


def feature_hashes(configs: Sequence[SpectrumConfig]) -> dict[str, str | None]:
    """The features of each data condition, by hash: data may change behind a path."""
    hashes: dict[str, str | None] = {}
    for config in configs:
        condition = config.data.condition or "all"
        if condition not in hashes:
            digest = sampled_task(config.with_(seed=0)).source.get("features_hash")
            hashes[condition] = None if digest is None else str(digest)
    return hashes


def estimated_memory(J: Jacobian) -> int:
    """Bytes of the dense Jacobian with its decomposition, or of the smaller Gram matrix."""
    working = J.bytes_per_sample * min(J.chunk, J.n_samples)
    dense = svd_bytes(J.shape, vectors=False)
    if dense + working <= J.memory:
        return dense + working
    return min(J.memory, gram_bytes(min(J.shape)) + working)


def least_memory(config: SpectrumConfig, J: Jacobian, *, rows: bool = False) -> int:
    """Bytes below which a cell cannot be computed: its cheapest route, and the rows of one sample.

    No rows are formed where the kernel decouples (the features alone are decomposed), nor, as a
    rule, for more outputs than parameters (the dual Gram matrix comes through the weights).
    """
    whole, row = svd_bytes(J.shape), J.engine.fixed_bytes() + J.bytes_per_sample
    if rows or config.per_core:
        return max(whole, row)
    parts = None if config.centred else J.decoupled()
    if parts is not None:
        columns = parts.shared.shape[1] + (0 if parts.coupled is None else parts.coupled.shape[1])
        return svd_bytes((J.n_samples, columns))
    solver = min(whole, gram_bytes(min(J.shape)))
    return solver if J.n_outputs > J.shape[1] else max(solver, row)


def _refuse_too_little(config: SpectrumConfig, J: Jacobian, *, rows: bool) -> None:
    """Refuse a limit that cannot be kept; what nobody limits is left to the routes themselves."""
    if config.memory is None:
        return
    least = least_memory(config, J, rows=rows)
    if config.memory < least:
        raise InputError(
            f"memory = {format_memory(config.memory)} is too little for {config.adapter.method} "
            f"with N·C = {J.shape[0]} and P = {J.shape[1]}: it takes at least "
            f"{enough_memory(least)}; allow that, or take fewer samples."
        )


def fitting_threads(outputs: int, parameters: int) -> int:
    """How many threads a spectrum of this size deserves: one unless its smaller side is large.

    Decompositions of a few hundred rows gain nothing from a second thread and lose much where
    the machine is shared; with one thread, equal seeds also give equal bytes.

    Example:
        >>> fitting_threads(512, 2056)
        1
    """
    return 1 if min(outputs, parameters) < _WORTH_THREADS else torch.get_num_threads()


def _seconds(J: Jacobian) -> float | None:
    try:
        with torch_threads(fitting_threads(*J.shape)):
            return estimated_seconds(J)
    except InputError:  # the rows of one sample do not fit
        if J.decoupled() is None and gram_bytes(min(J.shape)) > J.memory:
            raise  # and the spectrum needs them
        return None


def estimated_seconds(J: Jacobian) -> float:
    """Time of one cell: rows of a few samples, timed and scaled, and the solver's work."""
    few = min(J.n_samples, 8, J.chunk)
    J.rows(0, few)  # what is computed once and kept (tangent maps, paths) is not counted per sample
    start = time.perf_counter()
    J.rows(0, few)
    rows = (time.perf_counter() - start) * J.n_samples / few
    large, small = max(J.shape), min(J.shape)
    probe = torch.randn(_PROBE, _PROBE, dtype=torch.float64, device=J.device)
    start = time.perf_counter()
    torch.linalg.svdvals(probe)
    rate = _SVD_WORK * _PROBE**3 / (time.perf_counter() - start)
    return rows + (_SVD_WORK * small**3 + large * small**2) / rate
