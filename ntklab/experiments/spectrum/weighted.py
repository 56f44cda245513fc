"""A second row beside every spectrum: the kernel weighted by the curvature of cross-entropy."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters import Adapter
from ntklab.errors import InputError
from ntklab.experiments.spectrum.cell import adapter_for, jacobian_for, run_cell, sampled_task
from ntklab.experiments.spectrum.comparison import WEIGHTED
from ntklab.experiments.spectrum.config import SpectrumConfig
from ntklab.jacobians.softmax_weighted import SoftmaxWeightedJacobian
from ntklab.records import Cell, without_gaps
from ntklab.spectra import spectrum, top_k
from ntklab.tasks import Task
from ntklab.tasks.wikitext import next_token_samples

#: Eigenvalues asked for where all of them are out of reach.
TOP = 16

_SHARED = (
    *("method", "task", "data_condition", "preset", "seed", "samples", "width", "tt_ranks"),
    *("effective_width", "engine", "outputs", "params"),
)
_UNKNOWN = (
    *("rank", "rank_tolerance", "lambda_min", "lambda_min_nonzero", "lambda_min_error"),
    *("condition", "trace", "effective_dimension"),
)


def run_weighted_cell(config: SpectrumConfig) -> Cell:
    """`run_cell`, with a row of output `softmax-weighted` beside it.

    That row is of J̃J̃ᵀ, whose nonzero eigenvalues are those of Σ_n J_nᵀ (diag p − ppᵀ) J_n; p is
    the softmax of the logits where training starts: the adapter's own, or on `wikitext` the frozen
    model's, to which it is added. Where neither side of the kernel fits in memory (LoRA on a whole
    vocabulary), the row has the largest eigenvalue alone and the array the 16 largest.

    Raises:
        InputError: as `run_cell`.

    Example:
        >>> cell = run_weighted_cell(SpectrumConfig.of(method="lora", task="synthetic", samples=8))
        >>> cell.parts[-1]["output"], cell.parts[-1]["rank"] <= 8
        ('softmax-weighted', True)
    """
    cell = run_cell(config)
    task = sampled_task(config)
    adapter = adapter_for(config, task)
    p = start_probabilities(config, task, adapter)
    values, summary = _weighted_values(config, task, adapter, p)
    shared = {name: cell.row[name] for name in _SHARED if name in cell.row}
    n, c = config.samples, adapter.out_features
    bound = min(cell.row["rank_bound"], n * (c - 1))
    row = without_gaps({**shared, **summary, "output": WEIGHTED, "rank_bound": bound})
    arrays = {**cell.arrays, "weighted_eigenvalues": values}
    return Cell(cell.row, cell.measured, arrays, (*cell.parts, row))


def start_probabilities(
    config: SpectrumConfig, task: Task, adapter: Adapter
) -> Float[Tensor, "N C"]:
    """softmax of the logits at the start of training, float64."""
    phi = task.train.features
    with torch.no_grad():
        if config.data.task != "wikitext":
            return torch.softmax(adapter(phi).double(), 1)
        frozen = next_token_samples(
            model=config.data.backbone or "gpt2",
            data=config.data.path,
            samples=config.samples,
            data_seed=config.data.seed,
            device=config.compute.device,
        )
        logits = torch.nn.functional.linear(phi.to(frozen.weight), frozen.weight, frozen.bias)
        return torch.softmax(logits.double(), 1)


def _weighted_values(
    config: SpectrumConfig, task: Task, adapter: Adapter, p: Tensor
) -> tuple[np.ndarray, dict[str, Any]]:
    weighted = SoftmaxWeightedJacobian(jacobian_for(config, task, adapter), p)
    try:
        result = spectrum(weighted)
    except InputError as error:
        if min(weighted.shape) <= TOP + 1:
            raise
        return _largest(config, task, adapter, p, str(error))
    reason = None if result.rank_decided else "rank undecided: no clear gap in the spectrum"
    if result.lambda_min_error is None:
        reason = "no error bound is known for this route"
    return result.eigenvalues.numpy(), result.summary() | {"reason": reason}


def _largest(
    config: SpectrumConfig, task: Task, adapter: Adapter, p: Tensor, why: str
) -> tuple[np.ndarray, dict[str, Any]]:
    """The largest eigenvalues, by ARPACK on J̃ᵀJ̃ (P × P): products with J only."""
    free = replace(config, engine="vjp-jvp")
    weighted = SoftmaxWeightedJacobian(jacobian_for(free, task, adapter), p)
    # Eigenvalues to six digits: float64 products would allow more, a plot needs less.
    values = top_k(weighted, TOP, seed=config.compute.seed, tolerance=1e-6, dual=True).numpy()
    columns: dict[str, Any] = dict.fromkeys(_UNKNOWN)
    columns |= {"lambda_max": float(values[0]), "route": "eigsh", "engine": "vjp-jvp"}
    return values, columns | {"reason": f"only the {TOP} largest eigenvalues: {why}"}
