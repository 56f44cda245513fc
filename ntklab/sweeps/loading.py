"""From the fields of a configuration to a loaded task."""

import inspect
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from ntklab.errors import InputError, unknown
from ntklab.tasks import TASKS, Split, Task, load_task

DTYPES: dict[str, torch.dtype] = {"float64": torch.float64, "float32": torch.float32}

# Field of the configuration → the tasks' own words for it, the first that a task knows.
_WORDS: dict[str, tuple[str, ...]] = {
    "data_condition": ("condition",),
    "data": ("data",),
    "images": ("images",),
    "backbone": ("backbone", "model"),
    "backbone_weights": ("backbone_weights",),
    "data_seed": ("data_seed",),
    "device": ("device",),
}
TASK_FIELDS = ("task", *_WORDS, "dtype")


def has_conditions(task: str) -> bool:
    """Whether a task's data come clean and noisy.

    Raises:
        InputError: for an unknown task, with the nearest name.

    Example:
        >>> has_conditions("quantum-dot"), has_conditions("synthetic")
        (True, False)
    """
    return "condition" in _parameters(task)


def whole_task(values: tuple[Any, ...], samples: int) -> Task:
    """The task of the values of `TASK_FIELDS`, loaded once a process.

    Simulating images costs more than a small spectrum, so cells that agree on these values share
    one task in memory. A task that makes as many samples as it is asked for is asked for `samples`.

    Raises:
        InputError: for a value that the task has no use for, and for whatever the task refuses.
    """
    known = _parameters(values[TASK_FIELDS.index("task")])
    return _loaded(values, samples if "samples" in known else None)


@lru_cache(maxsize=4)
def _loaded(values: tuple[Any, ...], samples: int | None) -> Task:
    given = dict(zip(TASK_FIELDS, values, strict=True))
    name, dtype = given.pop("task"), DTYPES[given.pop("dtype")]
    known = _parameters(name)
    options: dict[str, Any] = {"dtype": dtype}
    for field, value in given.items():
        word = next((word for word in _WORDS[field] if word in known), None)
        if word is not None and value is not None:
            options[word] = value
        elif value is not None and field not in ("device", "data_seed"):
            raise InputError(f"task '{name}' has no {field.replace('_', ' ')}: leave it out.")
    if samples is not None:
        options["samples"] = samples
    return _on(load_task(name, **options), given["device"])


def _parameters(task: str) -> Any:
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    return inspect.signature(TASKS[task]).parameters


def _on(task: Task, device: str) -> Task:
    def moved(split: Split) -> Split:
        return replace(split, features=split.features.to(device), labels=split.labels.to(device))

    return replace(task, train=moved(task.train), test=moved(task.test))
