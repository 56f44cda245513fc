"""A sweep that stops half way, in a process of its own that a test kills: FOLDER BACKEND JOBS."""

import sys
import time

from ntklab.experiments.executors import compute
from ntklab.experiments.spectrum import SpectrumConfig, run_cell
from ntklab.records import RunFolder


def configs():
    return [
        SpectrumConfig.of(method="lora", task="synthetic", samples=8, seed=seed)
        for seed in range(8)
    ]


def cell_until_half(config):
    """The cell; those of the second half never end, so that a test need not hurry."""
    while config.compute.seed >= 4:
        time.sleep(1.0)
    return run_cell(config)


if __name__ == "__main__":
    folder = RunFolder(sys.argv[1], {"a": "sweep"})
    compute(configs(), cell_until_half, folder=folder, backend=sys.argv[2], jobs=int(sys.argv[3]))
