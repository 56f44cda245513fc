"""Tasks by name."""

import inspect
from collections.abc import Callable

from ntklab.errors import unknown
from ntklab.tasks.quantum_dot import load_quantum_dot
from ntklab.tasks.synthetic import load_synthetic
from ntklab.tasks.task import Task
from ntklab.tasks.wikitext import load_wikitext

TASKS: dict[str, Callable[..., Task]] = {
    "quantum-dot": load_quantum_dot,
    "synthetic": load_synthetic,
    "wikitext": load_wikitext,
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
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    known = inspect.signature(TASKS[name]).parameters
    for option in options:
        if option not in known:
            raise unknown(f"option of task '{name}'", option, known)
    return TASKS[name](**options)
