"""The released scripts as they run: through the backbone, conv1 trained with the head."""

import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from ntklab.adapters import Adapter
from ntklab.errors import InputError
from ntklab.experiments.peak_memory import taken_since
from ntklab.experiments.training.checkpoints import CHECKPOINT_SECONDS, part_of
from ntklab.experiments.training.heads.cell import BORROWED, curves_of, described, final_figures
from ntklab.experiments.training.heads.config import PairConfig
from ntklab.records import Cell, without_gaps
from ntklab.tasks.quantum_dot.diagrams import Diagrams, load_diagrams
from ntklab.tasks.quantum_dot.simulator import simulate
from ntklab.tasks.quantum_dot.task import SIMULATED_IMAGES, TRAIN_SHARE
from ntklab.training import RELEASED, Data, released_network, train
from ntklab.training.loop import Progress

#: What the paper trains for; a run with less is a smaller one and is marked so.
FULL_EPOCHS = 15
FULL_IMAGES = 2000


def run_end_to_end(
    config: PairConfig, *, running: Path | None = None, progress: Progress | None = None
) -> Cell:
    """Train the released network of a method on images, as its script does, and measure it.

    Random ResNet-18 whose conv1 (3136 weights) is trained with the head, BatchNorm in training
    mode. There is no kernel of single samples: the backbone's statistics move with the batch.
    Fewer epochs or images than the paper's are named in `scale_of_run`, as is a CPU in `gpu`.

    Args:
        config: with settings `released`; `epochs`, `images` and `data` say how much.
        running: where the run keeps its checkpoint, as for `run_pair`.
        progress: called with steps done and all steps.

    Returns:
        The row and the curves of `run_pair`, without a prediction; `end_to_end` is true.

    Raises:
        InputError: a method that has no released script, or another task than quantum-dot.

    Cost: on two CPU cores about 20 ms an image and epoch.
    """
    if config.adapter.method not in RELEASED or config.data.task != "quantum-dot":
        raise InputError(
            f"{config.adapter.method} on {config.data.task} has no released script: choose "
            f"{', '.join(RELEASED)} on quantum-dot, or leave --end-to-end out."
        )
    data = image_data(config)
    network = released_network(
        config.adapter.method,
        **config.adapter.sizes,
        seed=config.compute.seed,
        dtype=config.compute.torch_dtype,
    ).to(config.compute.device)
    start = time.perf_counter()
    run = train(
        network,
        data,
        config.training(config.lr or RELEASED[BORROWED].lr),
        folder=part_of(running, "train"),
        checkpoint_seconds=CHECKPOINT_SECONDS,
        progress=progress,
    )
    head = network.head
    assert isinstance(head, Adapter)
    row: dict[str, Any] = {
        **described(config, head, data.n_samples),
        **final_figures(config, run),
        "steps": run.steps,
        "lr": config.lr,
        "lr_chosen_by": "released script",
        "diverged": run.divergence is not None,
        "end_to_end": True,
        "scale_of_run": scale_of_run(config),
        "gpu": "yes" if config.compute.device.startswith("cuda") else "not yet measured on GPU",
        "ntk_regime": None,
        "ntk_regime_because": "BatchNorm in training mode has no kernel of single samples",
        "reason": None if run.divergence is None else str(run.divergence),
    }
    measured = taken_since(start, config.compute.device)
    measured["steps_per_second"] = run.steps_per_second
    return Cell(without_gaps(row), measured, curves_of(run))


def image_data(config: PairConfig) -> Data:
    """Images (N, 1, 50, 50) in the split of the task, with the other condition beside.

    Raises:
        InputError: too few images, or bad data.
    """
    diagrams = _diagrams(config.data.path, config.data.images, config.data.seed)
    order = torch.randperm(len(diagrams), generator=Generator().manual_seed(config.data.seed))
    cut = round(TRAIN_SHARE * len(diagrams))
    rows, held = order[:cut], order[cut:]
    if config.samples is not None:
        shuffled = torch.randperm(cut, generator=Generator().manual_seed(config.compute.seed))
        rows = rows[shuffled[: config.samples]]
    condition = config.data.condition or "noisy"
    other = "clean" if condition == "noisy" else "noisy"
    images = {c: _images(diagrams, c) for c in (condition, other)}
    labels = torch.from_numpy(diagrams.labels)
    tests = {
        "test": (images[condition][held], labels[held]),
        other: (images[other][held], labels[held]),
    }
    return Data(images[condition][rows], labels[rows], tests)


def scale_of_run(config: PairConfig) -> str:
    """The parts that are smaller than in the paper, if any are.

    Example:
        >>> scale_of_run(PairConfig.of(method="lora", settings="released", images=200, epochs=3))
        'smaller: 3 of 15 epochs, 200 of 2000 images'
    """
    images = config.data.images or (None if config.data.path else SIMULATED_IMAGES)
    less = []
    if config.epochs is None or config.epochs < FULL_EPOCHS:
        length = f"{config.steps} steps" if config.epochs is None else f"{config.epochs}"
        less.append(f"{length} of {FULL_EPOCHS} epochs")
    if images is not None and images < FULL_IMAGES:
        less.append(f"{images} of {FULL_IMAGES} images")
    return f"smaller: {', '.join(less)}" if less else "as in the paper"


def as_released(config: PairConfig) -> PairConfig:
    """The same cell under the released settings, in the scripts' float32."""
    return config.with_(settings="released", dtype="float32", predict=False, watched=0)


@lru_cache(maxsize=2)
def _diagrams(data: str | None, images: int | None, seed: int) -> Diagrams:
    if data is not None:
        return load_diagrams(data)
    count = SIMULATED_IMAGES if images is None else images
    if count < 5:
        raise InputError(f"{count} images are too few for an 80/20 split: at least 5 are needed.")
    return simulate(count, seed=seed)


def _images(diagrams: Diagrams, condition: str) -> Tensor:
    return torch.from_numpy(getattr(diagrams, condition)).unsqueeze(1)
