"""The paper's task, loaded once for all checks of a process."""

from ntklab.sweeps import SpectrumConfig
from ntklab.sweeps.loading import TASK_FIELDS, whole_task
from ntklab.tasks import Task


def images(full: bool) -> int:
    """How many are simulated: four fifths of them are for training, 512 samples at full effort."""
    return 800 if full else 200


def loaded(config: SpectrumConfig) -> Task:
    """All rows of a configuration's task; `sweeps.sampled_task` draws from the same ones."""
    return whole_task(tuple(getattr(config, name) for name in TASK_FIELDS), config.samples)
