"""Measured runs beside what the kernel at their start predicts: shared by eqs 10, 14, 16 and 22."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ntklab.adapters import Adapter
from ntklab.dynamics import (
    KernelAtStart,
    TangentObserver,
    Trajectory,
    certificate,
    linearization_error,
    total_degree,
)
from ntklab.jacobians import jacobian
from ntklab.training import RELEASED, Data, LazyModel, Run, TrainConfig, train
from paper_checks.tensorguide._least_eigenvalues import GAUSSIAN, Setting
from paper_checks.tensorguide._tasks import all_rows, drawn_rows


@dataclass(frozen=True, kw_only=True)
class Case:
    """One training run.

    Attributes:
        setting: sizes, start and features; its `regime` is not looked at.
        method: a name of ntklab's methods.
        loss: "squared" or "cross-entropy".
        optimizer: "gd" at half the rate where the linearized model would diverge, or "adam" as
            the authors' script of the method has it.
        alpha: factor of the outputs that makes training lazy; None trains the head itself.
        steps: updates.
        slower: what the rate of "gd" is divided by.
    """

    setting: Setting
    method: str = "lora"
    loss: str = "squared"
    optimizer: str = "gd"
    alpha: float | None = None
    steps: int = 300
    slower: float = 1.0

    def data(self, seed: int) -> tuple[Data, int]:
        """Training samples and C; Gaussian features get labels by chance."""
        one = self.setting
        if one.task == GAUSSIAN:
            x, outputs = one.inputs(seed)
            source = Generator().manual_seed(20_000 + seed)
            return Data(x, torch.randint(0, outputs, (len(x),), generator=source)), outputs
        task = drawn_rows(one.images, one.samples, seed, task=one.task)
        return Data(task.train.features, task.train.labels), task.n_classes

    def new_inputs(self, seed: int) -> Tensor:
        """Features that `data` does not train on."""
        one = self.setting
        if one.task == GAUSSIAN:
            return one.inputs(1000 + seed)[0]
        return all_rows(one.images, task=one.task).test.features

    def training(self, theory: KernelAtStart, seed: int) -> TrainConfig:
        """The loop's configuration."""
        known: dict[str, Any] = {"steps": self.steps, "loss": self.loss, "seed": seed}
        known |= {"logs_per_decade": 4}
        if self.optimizer == "adam":
            script = RELEASED.get(self.method, RELEASED["tensorguide"])
            return TrainConfig(optimizer="adam", lr=script.lr, batch=script.batch, **known)
        plain = TrainConfig(optimizer="gd", **known)
        return plain.with_(lr=0.5 * theory.stability_limit(plain.reduction) / self.slower)


@dataclass(frozen=True, eq=False)
class Trained:
    """A run, what was predicted of it, and whether the prediction was entitled to speak.

    Attributes:
        case: what was run.
        head: after training.
        model: the same, or what scales it.
        origin: a copy of the model before training.
        theory: the kernel at the start.
        run: with the columns of `TangentObserver`, on all samples.
        trajectory: linearized training at the logged steps.
        regime: the certificate's columns.
        lazy_index: √(r₀ᵀK₀⁺r₀)/‖θ₀‖ (theory P5).
    """

    case: Case
    head: Adapter
    model: nn.Module
    origin: nn.Module
    theory: KernelAtStart
    run: Run
    trajectory: Trajectory
    regime: Mapping[str, Any]
    lazy_index: float

    def column(self, name: str) -> list[float]:
        """A logged quantity; NaN where a step lacks it."""
        values = self.run.column(name)
        return [float("nan") if value is None else float(value) for value in values]

    @property
    def degree(self) -> int | None:
        """D of the head (theory P5), which scaling the outputs leaves as it is."""
        return total_degree(self.head)

    def held_out_error(self, seed: int = 0) -> float:
        """Share of the movement on new samples that the expansion at the start misses."""
        x = self.case.new_inputs(seed)
        ends = [trained_vector(model) for model in (self.origin, self.model)]
        with torch.no_grad():
            start, end = self.origin(x), self.model(x)
        J = jacobian(self.origin, x).dense()
        linear = start + (J @ (ends[1] - ends[0])).view_as(start)
        return linearization_error(end, linear, start)

    def times(self) -> list[float]:
        """Rate times steps."""
        return [self.run.config.lr * step for step in self.column("step")]


def trained_vector(model: nn.Module) -> Tensor:
    """The trained parameters as one vector."""
    parts = [p.detach().reshape(-1) for p in model.parameters() if p.requires_grad]
    return torch.cat(parts)


def trained(case: Case, seed: int = 0) -> Trained:
    """Run a case."""
    data, outputs = case.data(seed)
    head = case.setting.adapter(case.method, data.inputs.shape[1], outputs, seed)
    model: nn.Module = head if case.alpha is None else LazyModel(head, case.alpha)
    origin = deepcopy(model)
    start = data.inputs, data.targets
    theory = KernelAtStart.of(model, *start, loss=case.loss, head=head)  # type: ignore[arg-type]
    if theory is None:
        raise ArithmeticError(f"{data.n_samples} samples make too large a kernel to take apart")
    observer = TangentObserver(model, data.inputs, data.targets, loss=case.loss)  # type: ignore[arg-type]
    config = case.training(theory, seed)
    index = theory.lazy_index()
    run = train(model, data, config, observers=[observer])
    steps = [int(row["step"] or 0) for row in run.rows]
    trajectory = theory.trajectory(steps, lr=run.config.lr, reduction=run.config.reduction)
    regime = certificate(
        theory,
        trajectory,
        run.rows,
        optimizer=case.optimizer,
        diverged=run.divergence is not None,
    )
    return Trained(case, head, model, origin, theory, run, trajectory, regime, index)
