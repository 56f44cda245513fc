"""One pair: train, predict, and put both with the certificate into one row."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ntklab.adapters import Adapter
from ntklab.dynamics import KernelAtStart, TangentObserver, certificate
from ntklab.experiments.peak_memory import taken_since
from ntklab.experiments.rates import search_rate
from ntklab.experiments.training.checkpoints import CHECKPOINT_SECONDS, part_of
from ntklab.experiments.training.heads.bounds import counting_columns
from ntklab.experiments.training.heads.config import BORROWED, PairConfig
from ntklab.experiments.training.heads.data import model_for, pair_data, validation_split
from ntklab.experiments.training.heads.prediction import prediction_rows
from ntklab.records import Cell, without_gaps
from ntklab.tasks import Task
from ntklab.training import RELEASED, Data, LazyModel, Observer, Run, TrainConfig, train
from ntklab.training.loop import Progress

#: Weights of the first convolution of a one-channel ResNet-18, which the released scripts train.
CONV1 = 64 * 1 * 7 * 7

#: Bytes that the observer's two Jacobians may take.
_WATCHING = 2**27

CURVES = (
    *("step", "epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy"),
    *("clean_accuracy", "noisy_accuracy", "drift", "kernel_max", "effective_rate"),
    *("linearization_error", "displacement"),
)


def run_pair(
    config: PairConfig, *, running: Path | None = None, progress: Progress | None = None
) -> Cell:
    """Train one head on cached features and set the kernel's prediction beside the measurement.

    Pure: row and arrays depend on the configuration alone (and on the library versions and the
    number of threads); the clock stands apart in `measured`.

    Args:
        config: what to train and how.
        running: where its training runs keep their checkpoints, so that a cell cut short goes on
            bit for bit; nowhere if None.
        progress: called with steps done and all steps of the measured run.

    Returns:
        The row: what was trained; final losses, accuracies (on `test`, and on clean and noisy
        test images where the task has both) and gaps; the prediction's figures
        (`prediction_rows`); generalization bounds, each with whether vacuous
        (`heads.bounds`); drift and the certificate. A run that diverged says
        so in `reason`, with the step and the stability limit. Arrays: the curves.

    Raises:
        InputError: for data, sizes or settings that do not fit.

    Cost: one training (six where the rate is chosen from five), one spectrum of N·C rows, and a
    Jacobian of the watched rows at each of some 25 logged steps.

    Example:
        >>> config = PairConfig.of(method="lora", task="synthetic", samples=16, settings="own",
        ...                     optimizer="gd", loss="squared", steps=5)
        >>> cell = run_pair(config)
        >>> cell.row["steps"], bool(cell.row["train_loss"] < cell.arrays["train_loss"][0])
        (5, True)
    """
    task, data = pair_data(config)
    start = time.perf_counter()
    head, model = model_for(config, task)
    parts = _Parts(config, task, data, head, model, running)
    kernel = parts.kernel(model, head) if config.predict else None
    watched = _watched(config, head, task)
    observers = []
    if watched:
        observers = [
            TangentObserver(
                model,
                data.inputs,
                data.targets,
                loss=config.loss,  # type: ignore[arg-type]
                samples=watched,
            )
        ]
    lr, tried = choose_rate(parts, kernel)
    actual = lr if not isinstance(model, LazyModel) else model.rate(lr)
    run = parts.train("train", model, data, config.training(actual), observers, progress)
    row, arrays = _beside(parts, kernel, run)
    row |= {"lr": lr, "watched": watched, **tried}
    measured = taken_since(start, config.compute.device)
    measured["steps_per_second"] = run.steps_per_second
    return Cell(without_gaps(row), measured, arrays)


@dataclass(frozen=True, eq=False)
class _Parts:
    config: PairConfig
    task: Task
    data: Data
    head: Adapter
    model: nn.Module
    running: Path | None = None

    def kernel(self, model: nn.Module, head: Adapter) -> KernelAtStart | None:
        """The kernel before training, if it is small enough to be taken apart."""
        inputs, targets, loss = self.data.inputs, self.data.targets, self.config.loss
        return KernelAtStart.of(model, inputs, targets, loss=loss, head=head)  # type: ignore[arg-type]

    def train(
        self,
        name: str,
        model: nn.Module,
        data: Data,
        config: TrainConfig,
        observers: Sequence[Observer] = (),
        progress: Progress | None = None,
    ) -> Run:
        """Train with the checkpoint of that name, if there is a place for any."""
        return train(
            model,
            data,
            config,
            observers=observers,
            folder=part_of(self.running, name),
            checkpoint_seconds=CHECKPOINT_SECONDS,
            progress=progress,
        )


def choose_rate(parts: _Parts, kernel: KernelAtStart | None) -> tuple[float, dict[str, Any]]:
    """The rate, and how it was come by.

    Matched: each rate trains the same start on four fifths of the training rows; the most
    accurate on the last fifth wins, and of equals the one of smaller loss there.
    """
    config = parts.config
    if config.lr is not None:
        chosen_by = "given" if config.settings != "released" else _script(config.adapter.method)
        return config.lr, {"lr_chosen_by": chosen_by}
    if config.settings != "matched":
        if config.optimizer == "adam":
            return 1e-3, {"lr_chosen_by": "default of Adam"}
        if kernel is None:
            head, model = model_for(config, parts.task)
            kernel = parts.kernel(model, head)
        if kernel is None:
            return 1e-3, {"lr_chosen_by": "default: the kernel is too large to take apart"}
        half = 0.5 * kernel.stability_limit(config.training(1.0).reduction)
        alpha = config.alpha or 1.0
        return half * alpha**2, {"lr_chosen_by": "half the stability limit"}
    split = validation_split(parts.data, config.compute.seed)

    def cost(rate: float) -> tuple[float, ...]:
        _, model = model_for(config, parts.task)
        asked = config.training(rate).with_(logs_per_decade=1)
        final = parts.train(f"rate-{rate!r}", model, split, asked).final
        accuracy, loss = final.get("validation_accuracy"), final.get("validation_loss")
        return -float(accuracy or 0.0), float(np.inf if loss is None else loss), -rate

    best, costs = search_rate(cost, config.rates)
    return best, {"lr_chosen_by": "validation", "validation_accuracy": abs(costs[best][0])}


def _beside(
    parts: _Parts, kernel: KernelAtStart | None, run: Run
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    config = parts.config
    arrays = curves_of(run)
    reasons = [] if run.divergence is None else [str(run.divergence)]
    row = {**described(config, parts.head, parts.data.n_samples), **final_figures(config, run)}
    row["steps"] = run.steps
    row["diverged"] = diverged = run.divergence is not None
    trajectory = None
    if kernel is not None:
        steps = [int(logged["step"] or 0) for logged in run.rows]
        trained = run.config
        trajectory = kernel.trajectory(steps, lr=trained.lr, reduction=trained.reduction)
        figures, curves = prediction_rows(kernel, run, trajectory)
        row |= figures
        arrays |= curves
    elif config.predict:
        reasons.append("no prediction: the kernel of all training samples is too large")
    if config.predict and run.divergence is None:
        row |= counting_columns(parts.head, parts.model, parts.data)
    row |= certificate(kernel, trajectory, run.rows, optimizer=config.optimizer, diverged=diverged)
    return row | {"reason": "; ".join(reasons) or None}, arrays


def described(config: PairConfig, head: Adapter, samples: int) -> dict[str, Any]:
    """The columns that a run shares with its configuration: what was trained, and how."""
    ranks = [",".join(map(str, shape.ranks)) for shape in head.shapes.values()]
    names = ("method", "settings", "task", "data_condition", "preset", "seed")
    resnet = config.data.task == "quantum-dot" and config.data.backbone in (None, "resnet18")
    return {
        "variant": config.variant,
        **{name: config.get(name) for name in names},
        "samples": samples,
        "width": head.width,
        "effective_width": head.effective_width,
        "tt_ranks": ";".join(ranks) or None,
        "params": head.parameter_count,
        # what the paper counts: the head with the convolution that its scripts train
        "params_with_conv1": head.parameter_count + CONV1 if resnet else None,
        "optimizer": config.optimizer,
        "loss": config.loss,
        "batch": config.batch,
        "epochs": config.epochs,
        "end_to_end": False,
    }


def final_figures(config: PairConfig, run: Run) -> dict[str, Any]:
    """Losses, accuracies and gaps at the end, on clean and noisy images where there are both."""
    names = (
        *("train_loss", "train_accuracy", "test_loss", "test_accuracy", "gap", "accuracy_gap"),
        *("clean_accuracy", "noisy_accuracy", "clean_loss", "noisy_loss"),
    )
    row = {name: run.final[name] for name in names if name in run.final}
    if config.data.condition is not None:
        row[f"{config.data.condition}_accuracy"] = run.final["test_accuracy"]
        row[f"{config.data.condition}_loss"] = run.final["test_loss"]
    return row


def _script(method: str) -> str:
    return "released script" if method in RELEASED else f"released script of {BORROWED}"


def _watched(config: PairConfig, head: Adapter, task: Task) -> int:
    """Rows whose Jacobian stays within the memory allowed; a dense head has half a million P."""
    each = 2 * 8 * task.n_classes * head.parameter_count
    return min(config.watched, _WATCHING // each)


def curves_of(run: Run) -> dict[str, np.ndarray]:
    """The measured curves of a run, float64; NaN where a step lacks a figure."""
    logged = [name for name in CURVES if any(row.get(name) is not None for row in run.rows)]
    return {name: _column(run, name) for name in logged}


def _column(run: Run, name: str) -> np.ndarray:
    values = run.column(name)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
