"""A sweep of slow cells in a process of its own, for a test that kills it: FOLDER BACKEND JOBS."""

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


def slow_cell(config):
    cell = run_cell(config)
    time.sleep(0.3)
    return cell


if __name__ == "__main__":
    folder = RunFolder(sys.argv[1], {"a": "sweep"})
    compute(configs(), slow_cell, folder=folder, backend=sys.argv[2], jobs=int(sys.argv[3]))
