"""The paper's task, loaded once for all checks of a process."""

from ntklab.sweeps import SpectrumConfig, sampled_task
from ntklab.sweeps.loading import TASK_FIELDS, whole_task
from ntklab.tasks import Task
from ntklab.training import Data


def images(full: bool) -> int:
    """How many are simulated: four fifths of them are for training, 512 samples at full effort."""
    return 800 if full else 200


def loaded(config: SpectrumConfig) -> Task:
    """All rows of a configuration's task; `sweeps.sampled_task` draws from the same ones."""
    return whole_task(tuple(getattr(config, name) for name in TASK_FIELDS), config.samples)


def quantum_dots(seed: int, samples: int) -> Data:
    """The paper's task for a training run: rows drawn by the seed, and its test rows."""
    config = SpectrumConfig(
        method="tensorguide",
        task="quantum-dot",
        images=images(samples > 128),
        samples=samples,
        seed=seed,
    )
    return Data.of_task(sampled_task(config))
