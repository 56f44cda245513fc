"""The state of a run between two steps, and its file.

One safetensors file holds everything: tensors by name, and the scalars as JSON in its metadata, so
that a single move makes the checkpoint whole or leaves the older one standing.

    start.*       the trainable parameters at the start
    state.*       the trainable parameters and all buffers now
    optimizer.i.* the optimizer's tensors for parameter i
    random.*      states of the generators
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from ntklab.adapters.adapter import trainable
from ntklab.errors import InputError
from ntklab.files import whole_file
from ntklab.records.run_folder import first_difference
from ntklab.training.measure import Row
from ntklab.training.seeds import random_state, set_random_state

FILE = "checkpoint.safetensors"


@dataclass
class State:
    """Everything that a step changes.

    Attributes:
        model: trained in place.
        optimizer: over its trainable parameters.
        latents: source of the latents of minibatches.
        device: of the parameters.
        start: trainable parameters at the start.
        step: updates made.
        train_seconds: time spent on them, measurements not counted.
        rows: what was measured.
        row_seconds: `train_seconds` at each row.
        diverged: step and loss at which the run diverged.
    """

    model: nn.Module
    optimizer: Optimizer
    latents: Generator
    device: torch.device
    start: dict[str, Tensor]
    step: int = 0
    train_seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)
    row_seconds: list[float] = field(default_factory=list)
    diverged: tuple[int, float] | None = None


def save_state(path: Path, state: State, identity: Mapping[str, object]) -> None:
    """Write a checkpoint; the file is whole or the older one stays.

    Args:
        path: the file.
        state: between two steps.
        identity: JSON data that a resumed run must share.
    """
    tensors = {f"start.{name}": value for name, value in state.start.items()}
    moving = {**trainable(state.model), **dict(state.model.named_buffers())}
    tensors |= {f"state.{name}": value for name, value in moving.items()}
    for index, slots in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(v) for key, v in slots.items()}
    tensors |= {f"random.{key}": value for key, value in random_state(state.device).items()}
    tensors["random.latents"] = state.latents.get_state()
    scalars = {name: getattr(state, name) for name in _SCALARS}
    words = json.dumps({"identity": identity, "scalars": scalars})
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with whole_file(path) as temporary:
        temporary.write_bytes(save(plain, metadata={"ntklab": words}))


def load_state(path: Path, state: State, identity: Mapping[str, object]) -> bool:
    """Bring a checkpoint into a fresh state; False where there is none.

    Raises:
        InputError: the file is damaged, or belongs to another run (the first difference is named).
    """
    if not path.is_file():
        return False
    words, tensors = _read(path)
    difference = first_difference(words["identity"], json.loads(json.dumps(identity)))
    if difference:
        key, old, new = difference
        raise InputError(
            f"{path.parent} holds a run with {key} = {old}, not {new}: choose another folder, or "
            f"delete {path.name} to start afresh."
        )
    _restore(state, tensors)
    for name in _SCALARS:
        setattr(state, name, words["scalars"][name])
    state.diverged = None if state.diverged is None else (state.diverged[0], state.diverged[1])
    return True


_SCALARS = ("step", "train_seconds", "rows", "row_seconds", "diverged")


def _read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            words = json.loads(file.metadata()["ntklab"])
            return words, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"the checkpoint {path} is damaged ({error}): delete it to start afresh."
        ) from error


def _restore(state: State, tensors: Mapping[str, Tensor]) -> None:
    moving = {**trainable(state.model), **dict(state.model.named_buffers())}
    with torch.no_grad():
        for name, value in moving.items():
            value.copy_(tensors[f"state.{name}"])
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            slots.setdefault(int(index), {})[key] = value
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": slots, "param_groups": groups})
    set_random_state(
        {key: tensors[f"random.{key}"] for key in random_state(state.device)}, state.device
    )
    state.latents.set_state(tensors["random.latents"])
