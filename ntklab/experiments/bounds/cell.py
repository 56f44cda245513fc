"""Every bound of one adapter's kernel with its labels, beside what was measured; gauges too."""

import math
import time
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ntklab.adapters import Adapter
from ntklab.bounds import (
    Bound,
    clipped_risk,
    cross_entropy_bound,
    descent_bound,
    descent_envelope,
    descent_prediction,
    flow_bound,
    flow_prediction,
    gauge_effects,
    kernel_growth_bound,
    projected_flow_bound,
    residual_modes,
    side_by_side,
)
from ntklab.errors import InputError
from ntklab.experiments.bounds.config import BoundsConfig
from ntklab.experiments.peak_memory import taken_since
from ntklab.experiments.spectrum.cell import adapter_for, jacobian_for, sampled_task
from ntklab.experiments.spectrum.config import SpectrumConfig
from ntklab.jacobians import jacobian
from ntklab.records import Cell, without_gaps
from ntklab.spectra import DenseJacobian, spectrum
from ntklab.tasks import Task
from ntklab.training import Data, TrainConfig, train

_BY_TRAINING = ("norm of the training residual", "training cross-entropy")
_DIVERGED = "gradient descent diverged from this start, stable though it is for its kernel"


@dataclass(frozen=True, eq=False)
class _Side:
    """One side of the split: J, f₀ and y of the function that is bounded."""

    J: Tensor
    start: Tensor
    targets: Tensor


def run_bounds_cell(config: BoundsConfig) -> Cell:
    """Every bound of one adapter at one start.

    The risk beside the generalization bounds is that of the minimum-norm linearized fit, whose
    ball they are about; the residuals beside the optimization bounds are of gradient descent on
    the adapter itself, so `holds` may fail where the kernel moves.

    Returns:
        A row that counts the bounds, and a part a bound (and a gauge).

    Raises:
        InputError: as `ntklab.experiments.spectrum.run_cell`.

    Example:
        >>> cell = run_bounds_cell(BoundsConfig.of(method="lora", task="synthetic", samples=12))
        >>> cell.row["bounds"] == len(cell.parts), cell.parts[1]["name"]
        (True, 'rademacher-khintchine')
    """
    started = time.perf_counter()
    task = sampled_task(config.kernel)
    adapter = adapter_for(config.kernel, task)
    J = jacobian_for(config.kernel, task, adapter).dense()
    side = _side(config.kernel, task, adapter, J)
    bounds = _complexity(config, task, adapter, side) + _optimization(config, task, adapter, side)
    if bool(J.any()):
        bounds.append(_cross_entropy(config, task, adapter, DenseJacobian(J, task.n_classes)))
    named = _named(config, adapter)
    parts = [named | {"kind": "bound"} | bound.row() for bound in bounds]
    for part in parts:
        if part["bounds"].startswith(_BY_TRAINING) and part["measured"] is None:
            part["reason"] = part["reason"] or _DIVERGED
    if config.gauge:
        parts += [named | {"kind": "gauge"} | row for row in _gauges(task, adapter)]
    row = named | {
        "kind": "summary",
        "bounds": len(bounds),
        "vacuous_bounds": sum(bound.vacuous for bound in bounds),
        "reason": None,
    }
    measured = taken_since(started, config.kernel.compute.device)
    return Cell(without_gaps(row), measured, {}, tuple(without_gaps(part) for part in parts))


def _side(
    config: SpectrumConfig, task: Task, adapter: Adapter, J: Tensor, *, test: bool = False
) -> _Side:
    split = task.test if test else task.train
    classes = task.n_classes
    with torch.no_grad():
        start = adapter(split.features).to("cpu", torch.float64)
    J = J.to("cpu", torch.float64)
    if classes == 2:
        blocks = J.reshape(len(start), 2, -1)
        return _Side(
            blocks[:, 1] - blocks[:, 0],
            start[:, 1] - start[:, 0],
            2.0 * split.labels.cpu().double() - 1.0,
        )
    targets = nn.functional.one_hot(split.labels.cpu(), classes).double() - 1 / classes
    if config.centred:
        blocks = J.reshape(len(start), classes, -1)
        J = (blocks - blocks.mean(dim=1, keepdim=True)).reshape(J.shape)
        start = start - start.mean(dim=1, keepdim=True)
    return _Side(J, start, targets)


def _complexity(config: BoundsConfig, task: Task, adapter: Adapter, side: _Side) -> list[Bound]:
    outputs = side.J.shape[0] // len(side.targets)
    return side_by_side(
        DenseJacobian(side.J, outputs),
        side.targets,
        start=side.start,
        delta=config.delta,
        unit=config.unit,
        draws=config.draws,
        seed=config.kernel.compute.seed,
        risk=_linearized_risk(config, task, adapter, side),
    )


def _linearized_risk(config: BoundsConfig, task: Task, adapter: Adapter, side: _Side) -> float:
    """Clipped test risk of f₀ + J(x) J⁺ (y − f₀), the function that the fit bound is about."""
    J_test = jacobian(
        adapter, task.test.features, engine=config.kernel.engine, memory=config.kernel.memory
    ).dense()
    test = _side(config.kernel, task, adapter, J_test, test=True)
    left = (side.targets - side.start).reshape(-1, 1)
    move = torch.linalg.lstsq(side.J, left, driver="gelsd").solution
    outputs = test.start.reshape(-1) + (test.J @ move).reshape(-1)
    return clipped_risk(outputs.reshape(test.targets.shape), test.targets)


def _optimization(config: BoundsConfig, task: Task, adapter: Adapter, side: _Side) -> list[Bound]:
    """Eqs 10/22 at the end of a run of gradient descent, flow time being rate times steps."""
    outputs = side.J.shape[0] // len(side.targets)
    s = spectrum(DenseJacobian(side.J, outputs), vectors=True)
    if s.lambda_max == 0:
        return []
    modes = residual_modes(s, side.start - side.targets)
    rate, steps = 1.0 / s.lambda_max, config.steps
    reached = _descended(config, task, adapter, side, rate)
    bounds = [
        flow_bound(modes, rate * steps, measured=reached),
        projected_flow_bound(modes, rate * steps, measured=reached),
        flow_prediction(modes, rate * steps, measured=reached),
        descent_bound(modes, steps, rate, measured=reached),
        descent_envelope(modes, steps, rate, measured=reached),
        descent_prediction(modes, steps, rate, measured=reached),
    ]
    if adapter.degree is not None:
        bounds.append(_growth(adapter, task, s.lambda_max))
    return bounds


class _Bounded(nn.Module):
    """The function that is bounded, as a model: the margin, or outputs less their mean."""

    def __init__(self, adapter: Adapter, centred: bool) -> None:
        super().__init__()
        self.adapter, self.centred = adapter, centred

    def forward(self, features: Tensor) -> Tensor:
        outputs = self.adapter(features)
        if outputs.shape[1] == 2:
            return outputs[:, 1:] - outputs[:, :1]
        return outputs - outputs.mean(dim=1, keepdim=True) if self.centred else outputs


def _descended(
    config: BoundsConfig, task: Task, adapter: Adapter, side: _Side, rate: float
) -> float | None:
    """‖f_t − y‖ of gradient descent on ½‖f − y‖² from this start; None where it diverged."""
    model = _Bounded(adapter, config.kernel.centred)
    targets = side.targets.reshape(len(side.targets), -1)
    loss = _trained(config, task, model, targets, "squared", rate)
    return None if loss is None else math.sqrt(2 * loss)


def _cross_entropy(config: BoundsConfig, task: Task, adapter: Adapter, J: DenseJacobian) -> Bound:
    """The Γ-rate of theory P9, beside the summed cross-entropy that the adapter reaches."""
    s = spectrum(J, centred=True)
    labels, N = task.train.labels, task.train.n_samples
    with torch.no_grad():
        outputs = adapter(task.train.features).double()
    initial = float(nn.functional.cross_entropy(outputs, labels, reduction="sum"))
    rate = 1.0 / s.lambda_max  # curvature of softmax is ½ at most: half the largest stable rate
    reached = _trained(config, task, adapter, labels, "cross-entropy", rate)
    return cross_entropy_bound(
        s,
        initial_loss=initial,
        time=rate * config.steps,
        n_samples=N,
        n_outputs=task.n_classes,
        measured=reached,
    )


def _trained(
    config: BoundsConfig, task: Task, model: nn.Module, targets: Tensor, loss: Any, rate: float
) -> float | None:
    """Summed training loss after the steps, on a copy: the adapter stays at its start."""
    settings = TrainConfig(
        optimizer="gd",
        lr=rate,
        steps=config.steps,
        loss=loss,
        reduction="sum",
        seed=config.kernel.compute.seed,
        logs_per_decade=1,
    )
    data = Data(task.train.features, targets.to(task.train.features.device))
    run = train(deepcopy(model), data, settings, lambda_max=lambda: math.nan)
    return None if run.divergence is not None else float(run.final["train_loss"] or 0.0)


def _growth(adapter: Adapter, task: Task, largest: float) -> Bound:
    """λ_max against ‖Jθ‖²/‖θ‖² (theory P5)."""
    blocks = [p.detach().double() for p in adapter.parameters() if p.requires_grad]
    with torch.no_grad():
        outputs = adapter(task.train.features) - _base(adapter, task)
    change = outputs.cpu().double()
    bounded = change[:, 1] - change[:, 0] if change.shape[1] == 2 else change
    return kernel_growth_bound(
        bounded,
        parameter_norm=math.sqrt(sum(float(block.square().sum()) for block in blocks)),
        degree_sum=float((adapter.degree or 0) * len(blocks)),
        measured=largest,
    )


def _base(adapter: Adapter, task: Task) -> Tensor | float:
    return 0.0 if adapter.base is None else adapter.base(task.train.features)


def _gauges(task: Task, adapter: Adapter) -> list[dict[str, Any]]:
    """λ_min/mean of the whole kernel in every gauge of one function, with its certificate."""
    try:
        effects, best = gauge_effects(adapter, task.train.features)
    except InputError as refused:
        return [{"gauge": None, "reason": str(refused)}]
    rows = [{"name": f"gauge {effect.gauge}", **effect.row()} for effect in effects]
    certificate = {"best": best.primal, "best_upper": best.dual, "gap": best.gap}
    return [row | certificate for row in rows]


def _named(config: BoundsConfig, adapter: Adapter) -> dict[str, Any]:
    names = ("method", "task", "data_condition", "preset", "seed", "samples")
    own = {name: config.get(name) for name in names}
    return own | {"width": adapter.width, "params": adapter.parameter_count}
