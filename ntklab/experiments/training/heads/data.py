"""The head and the data of a pair."""

from dataclasses import replace

import torch
from torch import Generator, nn

from ntklab.adapters import Adapter, LoRA, build_adapter
from ntklab.adapters.presets import Draws
from ntklab.errors import InputError
from ntklab.experiments.training.heads.config import DENSE_HEAD, PairConfig
from ntklab.tasks import Task, load_data
from ntklab.training import Data, LazyModel

# What TensorGuide's W1 reaches at M = 1024 (theory P2). As a linear head, any M ≥ C is as large.
DENSE_WIDTH = 64
VALIDATION_SHARE = 0.2
_OTHER = {"noisy": "clean", "clean": "noisy"}


def pair_data(config: PairConfig) -> tuple[Task, Data]:
    """The task, its training rows drawn by `seed`, and what is trained on and judged by.

    The first test set is the task's own, `test`; the same devices in the other condition stand
    beside it under the name of that condition.

    Raises:
        InputError: for what the task refuses.
    """
    task = _task(config, config.data.condition)
    if config.data.condition is None:
        return task, Data.of_task(task)
    other = _OTHER[config.data.condition]
    return task, Data.of_task(task, **{other: _task(config, other)})


def model_for(config: PairConfig, task: Task) -> tuple[Adapter, nn.Module]:
    """The head, and what is trained: the head itself, or its α-scaled form.

    Raises:
        InputError: for sizes that the method has no use for.
    """
    head = _head(config, task)
    return head, head if config.alpha is None else LazyModel(head, config.alpha)


def validation_split(data: Data, seed: int) -> Data:
    """A fifth of the training rows as the test set `validation`, the others to train on.

    Example:
        >>> data = validation_split(Data(torch.eye(10), torch.arange(10)), seed=0)
        >>> data.n_samples, len(data.tests["validation"][0])
        (8, 2)
    """
    order = torch.randperm(data.n_samples, generator=Generator().manual_seed(seed))
    held = max(1, round(VALIDATION_SHARE * data.n_samples))
    order = order.to(data.inputs.device)
    trained, out = order[held:], order[:held]
    tests = {"validation": (data.inputs[out], data.targets[out])}
    return Data(data.inputs[trained], data.targets[trained], tests)


def _task(config: PairConfig, condition: str | None) -> Task:
    task = load_data(
        replace(config.data, condition=condition),
        samples=256 if config.samples is None else config.samples,
        dtype=config.compute.torch_dtype,
        device=config.compute.device,
    )
    return task if config.samples is None else task.subset(config.samples, config.compute.seed)


def _head(config: PairConfig, task: Task) -> Adapter:
    generator = Generator().manual_seed(config.compute.seed)
    common = {"dtype": config.compute.torch_dtype, "device": config.compute.device}
    base = None
    if config.settings == "matched":  # drawn apart from the head, so all methods share it
        source = Generator().manual_seed(config.compute.seed)
        draws = Draws(source, common["dtype"], config.compute.device)  # type: ignore[arg-type]
        base = draws.linear(task.n_features, task.n_classes)
    if config.adapter.method == DENSE_HEAD:
        return _dense(config, task, base, generator)
    sizes = task.n_features, task.n_classes
    return build_adapter(
        config.adapter,
        *sizes,
        base=base,
        generator=generator,
        **common,  # type: ignore[arg-type]
    )


def _dense(config: PairConfig, task: Task, base: nn.Linear | None, generator: Generator) -> Adapter:
    """W1 (d, M) and W2 (M, C), both trained: LoRA of rank M, at the variance of the NTK start."""
    idle = sorted(config.adapter.sizes.keys() - {"width"})
    if idle:
        raise InputError(f"dense-head has no use for {', '.join(idle)}: it is shaped by width.")
    return LoRA(
        task.n_features,
        task.n_classes,
        config.adapter.width or DENSE_WIDTH,
        scale=config.adapter.scale,
        base=base,
        preset="ntk",
        generator=generator,
        dtype=config.compute.torch_dtype,
        device=config.compute.device,
    )
