"""The paper's task, loaded once for all checks of a process."""

from ntklab.sweeps import SpectrumConfig, sampled_task
from ntklab.tasks import Task, load_data
from ntklab.training import Data


def images(full: bool) -> int:
    """How many are simulated: four fifths of them are for training, 512 samples at full effort."""
    return 800 if full else 200


def loaded(config: SpectrumConfig) -> Task:
    """All rows of a configuration's task; `sweeps.sampled_task` draws from the same ones."""
    return load_data(config.data, samples=config.samples, dtype=config.compute.torch_dtype)


def quantum_dots(seed: int, samples: int) -> Data:
    """The paper's task for a training run: rows drawn by the seed, and its test rows."""
    config = SpectrumConfig.of(
        method="tensorguide",
        task="quantum-dot",
        images=images(samples > 128),
        samples=samples,
        seed=seed,
    )
    return Data.of_task(sampled_task(config))
