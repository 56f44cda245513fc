"""The paper's task, loaded once for all checks of a process."""

from dataclasses import replace

from ntklab.sweeps import SpectrumConfig
from ntklab.sweeps.loading import TASK_FIELDS, whole_task
from ntklab.tasks import Task

# Of the loader's cache, which tells numbers of samples apart though images do not depend on them.
_KEY = 256


def images(full: bool) -> int:
    """How many are simulated: four fifths of them are for training, 512 samples at full effort."""
    return 800 if full else 200


def loaded(config: SpectrumConfig) -> Task:
    """All rows of a configuration's task."""
    whole = replace(config, samples=_KEY)
    return whole_task(tuple(getattr(whole, name) for name in TASK_FIELDS), _KEY)


def drawn(config: SpectrumConfig) -> Task:
    """`ntklab.sweeps.sampled_task` for a task with a fixed stock of images."""
    return loaded(config).subset(config.samples, config.seed)
