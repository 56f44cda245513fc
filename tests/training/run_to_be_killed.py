"""A training run in a process of its own, for the tests that kill it.

Arguments: folder, method, latent, steps. Says "logged K" on stdout at every logged step.
"""

import sys

import torch

from ntklab.adapters import build_adapter
from ntklab.tasks import load_task
from ntklab.training import Data, Run, TrainConfig, train


def problem(method: str, latent: str, steps: int) -> tuple[torch.nn.Module, Data, TrainConfig]:
    """Model, data and configuration, from the arguments alone."""
    torch.set_num_threads(1)
    data = Data.of_task(load_task("synthetic", features=12, samples=24))
    generator = torch.Generator().manual_seed(0)
    sizes = {"width": 16} if method == "tensorguide" else {}
    head = build_adapter(
        method, 12, 2, preset="paper", generator=generator, dtype=torch.float64, **sizes
    )
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(12), torch.nn.Dropout(0.1), head).double()
    config = TrainConfig(lr=0.01, steps=steps, batch=7, latent=latent, schedule="cosine", seed=3)
    return model, data, config


def go(folder, method: str, latent: str, steps: int, observers=(), every: float = 30.0) -> tuple:
    """Train, with a checkpoint every so many seconds where there is a folder."""
    model, data, config = problem(method, latent, steps)
    run: Run = train(
        model, data, config, folder=folder, checkpoint_seconds=every, observers=observers
    )
    return run, model


def say(moment) -> dict:
    print(f"logged {moment.step}", flush=True)
    return {}


if __name__ == "__main__":
    folder, method, latent, steps = sys.argv[1:]
    go(folder, method, latent, int(steps), observers=(say,), every=0.0)
    print("finished", flush=True)
