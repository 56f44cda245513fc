"""From the name of a task, or its specification, to the loaded data."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from ntklab.errors import InputError, unknown
from ntklab.tasks.registry import TASKS
from ntklab.tasks.spec import DataSpec
from ntklab.tasks.task import Split, Task

# Field of the specification → the tasks' own words for it, the first that a task knows.
_WORDS: dict[str, tuple[str, ...]] = {
    "condition": ("condition",),
    "path": ("data",),
    "images": ("images",),
    "backbone": ("backbone", "model"),
    "backbone_weights": ("backbone_weights",),
    "seed": ("data_seed",),
}


def load_task(name: str, **options: object) -> Task:
    """Load a task by its name.

    Args:
        name: A key of ``TASKS``.
        **options: Keyword arguments of the task's own function, such as
            :func:`load_quantum_dot` or :func:`load_synthetic`.

    Returns:
        The task.

    Raises:
        InputError: For an unknown task or option, and whatever the task itself refuses.

    Example:
        >>> load_task("synthetic", samples=8).train.n_samples
        8
        >>> load_task("synthetic", sample=8)
        Traceback (most recent call last):
        ...
        ntklab.errors.InputError: unknown option of task 'synthetic' 'sample': did you mean ...
    """
    function = TASKS.named(name)
    known = DataSpec(name).words
    for option in options:
        if option not in known:
            raise unknown(f"option of task '{name}'", option, known)
    task: Task = function(**options)
    return task


def load_data(spec: DataSpec, *, samples: int, dtype: torch.dtype, device: str = "cpu") -> Task:
    """The task of a specification, loaded once a process.

    Simulating images costs more than a small spectrum, so all who name the same data share one
    task in memory. A task that makes as many samples as it is asked for is asked for `samples`.

    Args:
        spec: which data.
        samples: N that will be drawn.
        dtype: of the features.
        device: where they belong.

    Raises:
        InputError: for a value that the task has no use for, and for whatever the task refuses.

    Example:
        >>> load_data(DataSpec("synthetic"), samples=8, dtype=torch.float64).train.n_samples
        8
    """
    return _loaded(spec, samples if "samples" in spec.words else None, dtype, device)


@lru_cache(maxsize=4)
def _loaded(spec: DataSpec, samples: int | None, dtype: torch.dtype, device: str) -> Task:
    options: dict[str, Any] = {"dtype": dtype}
    keys = {one.path[0]: key for key, one in DataSpec.flat_fields().items()}
    for field, words in _WORDS.items():
        word, value = next((w for w in words if w in spec.words), None), getattr(spec, field)
        if word is not None and value is not None:
            options[word] = value
        elif value is not None and field != "seed":
            name = keys[field].replace("_", " ")
            raise InputError(f"task '{spec.task}' has no {name}: leave it out.")
    if "device" in spec.words:
        options["device"] = device
    if samples is not None:
        options["samples"] = samples
    return _on(load_task(spec.task, **options), device)


def _on(task: Task, device: str) -> Task:
    def moved(split: Split) -> Split:
        return replace(split, features=split.features.to(device), labels=split.labels.to(device))

    return replace(task, train=moved(task.train), test=moved(task.test))
