"""One fine-tuning run with the kernel at its start; or the search that gives a method its rate."""

import math
import time
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntklab.dynamics import stability_limit
from ntklab.errors import InputError
from ntklab.experiments.peak_memory import taken_since
from ntklab.experiments.training.checkpoints import part_of
from ntklab.experiments.training.prompt.config import PromptConfig
from ntklab.experiments.training.prompt.kernels import (
    difference,
    kernels_at_start,
    start_outputs,
    train_kernel,
)
from ntklab.experiments.training.prompt.methods import build_model, targets_of
from ntklab.experiments.training.prompt.observer import FIGURES, RowsObserver, watched
from ntklab.records import Cell, without_gaps
from ntklab.tasks.prompt import PromptModel, PromptTask, WordLogits, load_prompt, load_prompt_model
from ntklab.tasks.prompt.rows import PromptRows, RowModel
from ntklab.training import Data, FineTuning, Stopping, finetune
from ntklab.training.loop import Progress

#: Successive halving keeps the best third of the rates for the second rung.
KEPT_SHARE = 3

#: Seconds between checkpoints: those of full fine-tuning are 400 MB.
CHECKPOINT_SECONDS = 20.0

CURVES = (
    *("step", "train_loss", "valid_loss", "valid_accuracy", "test_loss", "test_accuracy"),
    *FIGURES,
)


def run_prompt(
    config: PromptConfig, *, running: Path | None = None, progress: Progress | None = None
) -> Cell:
    """Fine-tune once and keep the kernel of the start beside it.

    Row and arrays depend on the configuration alone (and on library versions and the number of
    threads); the clock stands apart in `measured`.

    Args:
        config: what to train and how; its rate is given, unless its purpose is a search.
        running: where checkpoints go, so that a cell cut short goes on bit for bit.
        progress: called with steps done and all steps.

    Returns:
        The row of what was measured. Arrays: the kernels of `StartKernels.arrays`, from which
        `ntklab.experiments.training.prompt.figures` makes the columns of kernel and prediction;
        `labels`; `final_outputs` of the test sentences; the curves.

    Raises:
        InputError: for data, words or sizes that do not fit.
    """
    start, case = time.perf_counter(), _Case(config, prompt_task(config), running)
    if config.purpose == "search":
        row, arrays = _searched(case)
        return Cell(without_gaps(row), taken_since(start, config.compute.device), arrays)
    shots, prompts = case.shots, case.prompts
    kernels = kernels_at_start(case.model, prompts, shots) if config.predict else None
    kernel_seconds = time.perf_counter() - start
    first = (
        start_outputs(case.model, prompts, range(shots))
        if kernels is None
        else kernels.outputs[:shots]
    )
    numbers = watched(shots, config.watched)
    observers = [RowsObserver(case.model, prompts, numbers)] if numbers else []
    rate = case.rate(config.lr or 0.0, None if kernels is None else kernels.train)
    run = case.train("train", rate, config.epochs, ("valid", "test"), observers, progress)
    row = case.named() | {"rate": rate} | _of_run(config, run)
    labels = torch.cat([part.labels for part in case.parts.values()]).cpu()
    arrays = {"labels": labels.numpy(), "first_outputs": first.numpy(), **_curves(run)}
    if kernels is not None:
        row |= {"engine": kernels.engine}
        arrays |= kernels.arrays()
    arrays["final_outputs"] = _seen(run.outputs["test"]).double().cpu().numpy()
    measured = taken_since(start, config.compute.device) | {
        "kernel_seconds": kernel_seconds,
        "train_seconds": run.train_seconds,
    }
    return Cell(without_gaps(row), measured, arrays)


@dataclass(eq=False)
class _Case:
    """A configuration with its sentences and its model."""

    config: PromptConfig
    task: PromptTask
    running: Path | None

    @cached_property
    def parts(self) -> dict[str, Any]:
        valid = self.task.valid
        assert valid is not None
        return {"train": self.task.train, "valid": valid, "test": self.task.test}

    @cached_property
    def prompts(self) -> PromptRows:
        return PromptRows(list(self.parts.values()))

    @property
    def shots(self) -> int:
        return len(self.task.train)

    @cached_property
    def model(self) -> WordLogits:
        return build_model(self.config, self.task.model)

    @cached_property
    def start(self) -> dict[str, Tensor]:
        values = self.model.named_parameters()
        return {name: p.detach().clone() for name, p in values if p.requires_grad}

    def rewind(self) -> None:
        """The model at its start again."""
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, value in self.start.items():
                parameters[name].copy_(value)

    def rate(self, asked: float, kernel: Tensor | None) -> float:
        """η of the loop: as asked for; for sgd in units of the stability limit."""
        if self.config.optimizer == "adam":
            return asked
        if kernel is None:
            kernel = train_kernel(self.model, self.prompts, self.shots)[0]
        largest = float(torch.linalg.eigvalsh(kernel)[-1])
        if not largest > 0:
            raise InputError("the kernel is zero at the start: no step size follows from it.")
        return asked * stability_limit(largest, self.shots) * self._flatness

    @property
    def _flatness(self) -> float:
        """1 over the largest second derivative of a sample's loss by what the kernel is of."""
        if self.config.loss == "squared":
            return 1.0
        return 4.0 if len(self.model.words) == 2 else 2.0  # σ' ≤ 1/4; ‖diag p − ppᵀ‖ ≤ 1/2

    def train(
        self,
        name: str,
        rate: float,
        epochs: int,
        tests: tuple[str, ...],
        observers: Any = (),
        progress: Progress | None = None,
    ) -> FineTuning:
        config, training = self.config, self.config.training(rate, epochs)
        return finetune(
            RowModel(self.model, self.prompts, one=config.loss == "squared"),
            self.data(tests),
            training,
            stopping=Stopping(training.steps_per_epoch(self.shots), config.patience),
            observers=observers,
            identity=self.task.digest,
            folder=part_of(self.running, name),
            checkpoint_seconds=CHECKPOINT_SECONDS,
            progress=progress,
        )

    def data(self, tests: tuple[str, ...]) -> Data:
        """Numbers of the prompts, with their classes; ±1 for the squared loss."""
        start, pairs = 0, {}
        for name, part in self.parts.items():
            labels = part.labels
            if self.config.loss == "squared":
                labels = (2.0 * labels - 1.0)[:, None]
            pairs[name] = (torch.arange(start, start + len(part)), labels)
            start += len(part)
        return Data(*pairs["train"], {name: pairs[name] for name in tests})

    def named(self) -> dict[str, Any]:
        config, notes = self.config, self.task.notes
        given = ("method", "seed", "optimizer", "loss", "start", "layers", "shots", "batch", "lr")
        targets = targets_of(config, self.model.model)
        return {
            "task": "prompt",
            "variant": config.variant,
            "purpose": config.purpose,
            **{name: config.get(name) for name in given},
            **{name: notes[name] for name in ("model", "template", "cut", "left_out", "tokens")},
            "params": sum(p.numel() for p in self.model.parameters() if p.requires_grad),
            "adapter_rank": config.adapter.rank,
            "width": config.adapter.width,
            "shared": config.shared if config.adapter.method == "tera" else None,
            **{f"tt_{name}": _joined(config.get(name)) for name in ("in_dims", "out_dims")},
            "tt_ranks": _joined(config.adapter.tt_ranks),
            "words": ",".join(notes["words"]),  # type: ignore[arg-type]
            "target_modules": targets if isinstance(targets, str) else ",".join(targets),
            **{f"{name}_samples": len(part) for name, part in self.parts.items()},
        }


def prompt_task(config: PromptConfig, progress: Progress | None = None) -> PromptTask:
    """The sentences of a seed and their frozen states, from memory, from disk, or from the model.

    Args:
        config: see `PromptConfig`.
        progress: called with (prompts done, all prompts) where the model must read them.

    Raises:
        InputError: what `load_prompt` refuses, or no data.
    """
    data, compute = config.data, config.compute
    if data.path is None:
        raise InputError("the task prompt reads sentences from a table: give --data FILE.")
    key = (data, compute.seed, compute.dtype, compute.device, config.first)
    if key not in _TASKS:
        if len(_TASKS) >= _MOST_TASKS:
            _TASKS.pop(next(iter(_TASKS)))
        _TASKS[key] = load_prompt(
            data.path,
            text_column=data.text_column,
            label_column=data.label_column,
            classes=None if data.classes is None else _words(data.classes),
            rating_column=data.rating_column,
            thresholds=data.cuts,
            model=_model(data.model or "gpt2", data.tokenizer, compute.dtype, compute.device),
            template=data.template,
            words=_words(data.words),
            shots=data.shots,
            valid_shots=data.held_out,
            test=data.test,
            seed=compute.seed,
            first=config.first,
            context=data.context,
            device=compute.device,
            dtype=compute.torch_dtype,
            progress=progress,
        )
    return _TASKS[key]


_TASKS: dict[tuple[Any, ...], PromptTask] = {}
_MOST_TASKS = 2  # some 60 MB each of what a seed of the movies takes


@lru_cache(maxsize=1)
def _model(name: str, tokenizer: str | None, dtype: str, device: str) -> PromptModel:
    return load_prompt_model(name, tokenizer=tokenizer, dtype=getattr(torch, dtype), device=device)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _joined(numbers: tuple[int, ...] | None) -> str | None:
    return None if numbers is None else ",".join(map(str, numbers))


def _searched(case: _Case) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The rate of the least validation loss, by successive halving."""
    config, kernel = case.config, None
    if config.optimizer == "sgd":
        kernel = train_kernel(case.model, case.prompts, case.shots)[0]
    _ = case.start
    left, losses = list(config.rates), dict[float, float]()
    tried: list[tuple[float, float, float]] = []
    for rung, epochs in enumerate(rungs(config)):
        for asked in left:
            case.rewind()
            name = f"rung-{rung}-{asked!r}"
            run = case.train(name, case.rate(asked, kernel), epochs, ("valid",))
            loss = float(run.final["valid_loss"] or 0.0)
            losses[asked] = loss if math.isfinite(loss) and run.best_step else math.inf
            tried.append((epochs, asked, losses[asked]))
        left = sorted(left, key=lambda rate: losses[rate])[: -(-len(left) // KEPT_SHARE)]
        if len(left) == 1:
            break
    table = torch.tensor(tried, dtype=torch.float64).T
    arrays = {
        name: table[k].clone().numpy() for k, name in enumerate(("epochs", "rates", "losses"))
    }
    arrays["losses"] = np.nan_to_num(arrays["losses"], posinf=np.nan)
    return case.named() | {"lr": left[0], "valid_loss": losses[left[0]]}, arrays


def rungs(config: PromptConfig) -> tuple[int, int]:
    """Epochs of the two rungs of a search.

    One epoch and a third of the run's for Adam. Plain SGD is slow to leave ΔW = 0, and after one
    epoch large rates lead that break later: a quarter of the run's epochs, and all of them.

    Example:
        >>> one = PromptConfig.of(method="lora")
        >>> rungs(one), rungs(one.with_(optimizer="sgd"))
        ((1, 4), (3, 12))
    """
    if config.optimizer == "sgd":
        return max(1, config.epochs // 4), config.epochs
    return 1, max(2, config.epochs // 3)


def _of_run(config: PromptConfig, run: FineTuning) -> dict[str, Any]:
    from ntklab.dynamics import largest_figure, regime_of_rows

    first, final = run.rows[0], run.final
    row: dict[str, Any] = {f"start_{k}": first[k] for k in ("test_accuracy", "test_loss")}
    row |= dict(final)
    row |= {
        "steps": run.steps,
        "best_step": run.best_step,
        "stopped_early": run.stopped,
        "diverged": run.diverged is not None,
        "steps_to_half": _steps_to_half(run),
    }
    diverged = run.diverged is not None
    if any(one.get("drift") is not None for one in run.rows):
        row |= regime_of_rows(run.rows, optimizer=config.optimizer, diverged=diverged).as_row()
        for name in ("jacobian_change", "weights_linearization_error"):
            row[f"{name}_max"] = largest_figure(run.rows, name)
    return row | {"reason": f"diverged at step {run.diverged[0]}" if run.diverged else None}


def _steps_to_half(run: FineTuning) -> int | None:
    """Updates until half of the fall of the validation loss: the speed of training.

    Between two looks by interpolation in the logarithm would pretend more than is known.
    """
    losses = [float(row["valid_loss"] or 0.0) for row in run.rows]
    goal = (losses[0] + min(losses)) / 2
    steps = (
        int(row["step"] or 0) for row, loss in zip(run.rows, losses, strict=True) if loss <= goal
    )
    return next(steps, None) if min(losses) < losses[0] else None


def _seen(outputs: Tensor) -> Tensor:
    """Outputs of a run as the kernel is of them; those of the squared loss are differences."""
    return outputs if outputs.shape[1] == 1 else difference(outputs)


def _curves(run: FineTuning) -> dict[str, np.ndarray]:
    def column(name: str) -> np.ndarray:
        values = [row.get(name) for row in run.rows]
        return np.array([math.nan if v is None else v for v in values], np.float64)

    known = {name for row in run.rows for name, value in row.items() if value is not None}
    return {name: column(name) for name in CURVES if name in known}
