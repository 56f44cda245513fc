"""One cell: a configuration in, a row and its eigenvalues out."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from ntklab.adapters import Adapter, build_adapter
from ntklab.errors import InputError
from ntklab.experiments.peak_memory import taken_since
from ntklab.experiments.spectrum.config import SpectrumConfig
from ntklab.experiments.spectrum.parts import core_rows, ratio
from ntklab.jacobians import Jacobian, jacobian, kernel_error
from ntklab.jacobians.memory import Progress
from ntklab.records import Cell, without_gaps
from ntklab.spectra import Spectrum, label_alignment, spectrum
from ntklab.spectra.operator import JacobianLike
from ntklab.tasks import Task, load_data

# A core's row shares with the whole kernel's where it came from, not what was measured of it.
_SHARED = (
    *("method", "task", "data_condition", "preset", "seed", "samples", "width", "tt_ranks"),
    *("effective_width", "engine", "output", "outputs"),
)


def run_cell(
    config: SpectrumConfig,
    *,
    progress: Progress | None = None,
    shared: Callable[[Jacobian], JacobianLike] | None = None,
) -> Cell:
    """The spectrum of one adapter's NTK on one sample of one task.

    Pure: the row and the arrays depend on the configuration alone (and on the library versions);
    the clock and the memory stand apart in `measured`. `seconds` is the time for adapter,
    Jacobian, spectrum and labels, without loading the task.

    The labels y enter as one-hot vectors less their mean over outputs (what softmax can fit).
    `kernel_target_alignment` is yᵀKy/(‖K‖_F ‖y‖²), `label_residual` the share of ‖y‖² in the
    kernel's null space, which linearized training never fits.

    Args:
        config: what to compute.
        progress: called with (samples done, N) while the Jacobian is computed.
        shared: the Jacobian as workers share it (`ntklab.experiments.spectrum.shared`).

    A float32 row says in `kernel_error` what float32 costs its kernel (`ntklab.jacobian`).

    Returns:
        The row of `ntklab.records.schema.SPECTRUM_ROW` (with `per_core` also one for every core),
        and arrays `eigenvalues` (float64,
        largest first) and `multiplicity` (int64); zeros that the shape forces are not listed.

    Raises:
        InputError: for data, sizes or shapes that do not fit.

    Example:
        >>> config = SpectrumConfig.of(method="lora", task="synthetic", samples=16)
        >>> cell = run_cell(config)
        >>> cell.row["rank"], cell.row["outputs"], cell.arrays["eigenvalues"].shape
        (32, 32, (32,))
    """
    task = sampled_task(config)
    start = time.perf_counter()
    adapter = adapter_for(config, task)
    J = jacobian_for(config, task, adapter, progress)
    result = spectrum(J if shared is None else shared(J), centred=config.centred)
    row = _row(config, adapter, J, result) | _labels(config, task, adapter, J, result)
    row["reason"] = _reason(row)
    parts = core_rows(J, row["trace"], centred=config.centred) if config.per_core else []
    common = {name: row[name] for name in _SHARED}
    lines = [without_gaps({**common, **part, "reason": _reason(part)}) for part in parts]
    arrays = {
        "eigenvalues": result.eigenvalues.numpy(),
        "multiplicity": result.multiplicity.numpy(),
    }
    measured = taken_since(start, config.compute.device)
    return Cell(without_gaps(row), measured, arrays, tuple(lines))


def sampled_task(config: SpectrumConfig) -> Task:
    """The task of a cell with its training rows drawn by `seed`.

    Raises:
        InputError: for what the task refuses, more samples than there are among it.
    """
    task = load_data(
        config.data,
        samples=config.samples,
        dtype=config.compute.torch_dtype,
        device=config.compute.device,
    )
    return task.subset(config.samples, config.compute.seed)


def adapter_for(config: SpectrumConfig, task: Task) -> Adapter:
    """The adapter of a cell, drawn by `seed`.

    Raises:
        InputError: for sizes that the method has no use for, or shapes that do not fit.
    """
    return build_adapter(
        config.adapter,
        task.n_features,
        task.n_classes,
        generator=Generator().manual_seed(config.compute.seed),
        dtype=config.compute.torch_dtype,
        device=config.compute.device,
    )


def jacobian_for(
    config: SpectrumConfig, task: Task, adapter: Adapter, progress: Progress | None = None
) -> Jacobian:
    """The Jacobian of a cell's adapter at its samples; nothing is computed yet."""
    return jacobian(
        adapter,
        task.train.features,
        engine=config.engine,
        memory=config.memory,
        progress=progress,
    )


def _row(config: SpectrumConfig, adapter: Adapter, J: Jacobian, result: Spectrum) -> dict[str, Any]:
    summary = result.summary()
    ranks = [",".join(map(str, shape.ranks)) for shape in adapter.shapes.values()]
    own_ranks = getattr(adapter, "ranks", None)  # of a core that is no train
    if not ranks and own_ranks:
        ranks = [",".join(map(str, own_ranks))]
    names = ("method", "task", "data_condition", "preset", "seed", "samples")
    return {
        **{name: config.get(name) for name in names},
        "width": adapter.width,
        "effective_width": adapter.effective_width,
        "tt_ranks": ";".join(ranks) or None,
        "engine": J.engine.name,
        "output": "full",
        "rank_bound": rank_bound_for(config, adapter),
        "outputs": J.shape[0],
        **summary,
        "params": J.shape[1],
        "kernel_error": kernel_error(J) if config.compute.dtype == "float32" else None,
        **result.over_mean,
    }


def rank_bound_for(config: SpectrumConfig, adapter: Adapter) -> int:
    """Upper bound on the rank of a cell's kernel, centred or not (theory P1–P3)."""
    bound, n, c = adapter.rank_bound(config.samples), config.samples, adapter.out_features
    if not config.centred:
        return bound
    if adapter.linear:  # its kernel is Φ(·)Φᵀ in each output, of which one is projected out
        n = min(n, adapter.in_features)
    return min(bound, n * (c - 1))


def _labels(
    config: SpectrumConfig, task: Task, adapter: Adapter, J: Jacobian, result: Spectrum
) -> dict[str, float | None]:
    onehot = torch.nn.functional.one_hot(task.train.labels, task.n_classes)
    y = onehot.to(torch.float64) - 1 / task.n_classes
    pulled = _pulled(adapter, task.train.features, y.to(J.dtype)).to(torch.float64)
    norm = float((result.multiplicity * result.eigenvalues**2).sum()) ** 0.5
    alignment = ratio(float(pulled @ pulled), norm * float(y.square().sum()))
    return {"kernel_target_alignment": alignment, "label_residual": _residual(config, J, result, y)}


def _pulled(adapter: Adapter, features: Tensor, y: Tensor) -> Tensor:
    """Jᵀy by one backward pass: with a whole vocabulary the rows of one sample do not fit."""
    params = [p for p in adapter.parameters() if p.requires_grad]
    with torch.enable_grad():
        gradients = torch.autograd.grad(adapter(features), params, y)
    return torch.cat([gradient.flatten() for gradient in gradients])


def _residual(config: SpectrumConfig, J: Jacobian, result: Spectrum, y: Tensor) -> float | None:
    if result.rank == result.size:
        return 0.0
    try:
        vectors = spectrum(J, centred=config.centred, vectors=True)
        return label_alignment(vectors, y).residual_fraction
    except InputError:  # the eigenvectors do not fit into memory, and the rest stands without
        return None


def _reason(row: dict[str, Any]) -> str | None:
    reasons = []
    if row["lambda_min_nonzero"] is None:
        reasons.append("the kernel is zero, so λ_min⁺ and the condition number do not exist")
    if row["lambda_min_error"] is None:
        reasons.append("no error bound is known for this route")
    elif row["sigma_error"] is None:
        reasons.append("the errors leave out the model's own arithmetic, which was not measured")
    if not row["rank_decided"]:
        reasons.append("rank undecided: no clear gap in the spectrum, or λ_min⁺ within its error")
    if row.get("label_residual", 0.0) is None:
        reasons.append("label_residual: the eigenvectors do not fit into the memory allowed")
    return "; ".join(reasons) or None
