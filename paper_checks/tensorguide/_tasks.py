"""The paper's task and heads on it, loaded once for all checks of a process."""

import torch
from torch import Generator

from ntklab.adapters import Adapter, build_adapter
from ntklab.tasks import DataSpec, Task, load_data
from ntklab.training import Data

QUANTUM_DOT = "quantum-dot"


def images(full: bool) -> int:
    """How many are simulated: four fifths of them are for training, 512 samples at full effort."""
    return 800 if full else 200


def all_rows(count: int | None, *, task: str = QUANTUM_DOT, samples: int = 256) -> Task:
    """All rows of a task, in float64.

    Args:
        count: images to simulate; the task's own number if None.
        task: a name of `ntklab.tasks.TASKS`.
        samples: for a task that makes as many as it is asked for.
    """
    return load_data(DataSpec(task, images=count), samples=samples, dtype=torch.float64)


def drawn_rows(count: int | None, samples: int, seed: int, *, task: str = QUANTUM_DOT) -> Task:
    """The same with `samples` of the training rows, drawn by the seed."""
    return all_rows(count, task=task, samples=samples).subset(samples, seed)


def start_of(method: str, task: Task, seed: int) -> Adapter:
    """The method's head for a task at its start, drawn by the seed."""
    generator = Generator().manual_seed(seed)
    sizes = task.n_features, task.n_classes
    return build_adapter(method, *sizes, generator=generator, dtype=torch.float64)


def quantum_dots(seed: int, samples: int) -> Data:
    """The paper's task for a training run: rows drawn by the seed, and its test rows."""
    return Data.of_task(drawn_rows(images(samples > 128), samples, seed))
