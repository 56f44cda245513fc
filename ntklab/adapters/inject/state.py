"""Injected adapters on disk: tensors as safetensors, what they are as JSON."""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ntklab.adapters.adapter import Adapter
from ntklab.adapters.inject.recentred import Recentred
from ntklab.adapters.inject.replace import adapters_in, inject, injection_of, remove
from ntklab.errors import InputError
from ntklab.files import make_folder, write_text

SCHEMA = "ntklab-adapter/1"
CONFIGURATION = "adapter.json"


def save_adapter(model: nn.Module, folder: str | Path) -> Path:
    """Write the injected adapters of a model, without the model's own weights.

    `adapter.json` says the method, its sizes and every layer; `adapter-<digest>.safetensors`
    holds the tensors, those that layers share (TeRA) once. The JSON file names the tensors' file
    and moves into place last, so that a reader sees the old adapters or the new ones.

    Args:
        model: a model with injected adapters that are not merged.
        folder: made if absent; earlier adapters in it are replaced.

    Returns:
        The JSON file.

    Raises:
        InputError: no adapters, merged ones, or a folder that cannot be written.

    Example:
        >>> import tempfile
        >>> model = inject(nn.Sequential(nn.Linear(6, 2)), "lora", target_modules=["0"], rank=2)
        >>> save_adapter(model, tempfile.mkdtemp()).name
        'adapter.json'
    """
    adapters, record = adapters_in(model), injection_of(model)
    assert record is not None
    folder = Path(folder)
    make_folder(folder)
    payload = save(_tensors(adapters))
    digest = hashlib.sha256(payload).hexdigest()
    weights = f"adapter-{digest[:16]}.safetensors"
    described = {
        "schema": SCHEMA,
        "method": record.method,
        "start": record.start,
        "seed": record.seed,
        "scale": record.scale,
        "share": record.share,
        "sizes": record.sizes,
        "modules": [_described(name, adapter) for name, adapter in adapters.items()],
        "weights": weights,
        "sha256": digest,
        "versions": {name: version(name) for name in ("ntklab", "torch")},
    }
    _write(folder / weights, payload)
    write_text(folder / CONFIGURATION, json.dumps(described, indent=2) + "\n")
    for old in folder.glob("adapter-*.safetensors"):
        if old.name != weights:
            old.unlink(missing_ok=True)
    return folder / CONFIGURATION


def load_adapter(model: nn.Module, folder: str | Path) -> nn.Module:
    """Put saved adapters into a model of the same layers: outputs as they were, bit for bit.

    Args:
        model: the model without adapters; changed in place.
        folder: what `save_adapter` wrote.

    Returns:
        The model itself.

    Raises:
        InputError: no such folder, damaged files, a model without the layers or with layers of
            other sizes, or with adapters in it already.

    Example:
        >>> import tempfile
        >>> first = nn.Sequential(nn.Linear(6, 2))
        >>> second, folder = nn.Sequential(nn.Linear(6, 2)), tempfile.mkdtemp()
        >>> second.load_state_dict(first.state_dict())
        <All keys matched successfully>
        >>> _ = save_adapter(inject(first, "lora", target_modules=["0"], rank=2), folder)
        >>> torch.equal(load_adapter(second, folder)(torch.ones(6)), first(torch.ones(6)))
        True
    """
    folder = Path(folder)
    described = _read_configuration(folder)
    tensors = _read_tensors(folder, described)
    names = [module["name"] for module in described["modules"]]
    _check_layers(model, described["modules"])
    inject(
        model,
        described["method"],
        target_modules=f"(?:{'|'.join(map(re.escape, names))})",  # whole names, not their ends
        start=described["start"],
        seed=described["seed"],
        scale=described["scale"],
        share=described.get("share", True),
        **{k: tuple(v) if isinstance(v, list) else v for k, v in described["sizes"].items()},
    )
    _load(model, tensors, folder)
    return model


def _tensors(adapters: Mapping[str, Adapter]) -> dict[str, Tensor]:
    """Every adapter's state but the model's own weights, under the layer's name."""
    return {
        f"{layer}.{name}": tensor.detach().cpu().contiguous()
        for layer, adapter in adapters.items()
        for name, tensor in adapter.state_dict().items()
        if not _of_the_model(adapter, name)
    }


def _of_the_model(adapter: Adapter, name: str) -> bool:
    base: nn.Module | None = adapter.base
    prefix = "base.layer." if isinstance(base, Recentred) else "base."
    return name.startswith(prefix)


def _described(name: str, adapter: Adapter) -> dict[str, Any]:
    described = adapter.describe()
    words = ("in_features", "out_features", "scale", "parameters", "shapes")
    dtype = str(next(adapter.parameters()).dtype).removeprefix("torch.")
    return {"name": name, **{word: described[word] for word in words}, "dtype": dtype}


def _write(path: Path, payload: bytes) -> None:
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        partial.write_bytes(payload)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _read_configuration(folder: Path) -> dict[str, Any]:
    path = folder / CONFIGURATION
    if not path.is_file():
        raise InputError(
            f"'{folder}' holds no {CONFIGURATION}: give a folder that save_adapter() wrote."
        )
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        schema = described["schema"]
        complete = {"method", "start", "seed", "scale", "sizes", "modules", "weights", "sha256"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{path}' is damaged ({error!r}): save the adapters again.") from error
    if schema != SCHEMA or not complete <= described.keys():
        raise InputError(
            f"'{path}' is of schema '{schema}', not a whole '{SCHEMA}': save the adapters with "
            "this version."
        )
    return described


def _read_tensors(folder: Path, described: Mapping[str, Any]) -> dict[str, Tensor]:
    path = folder / Path(described["weights"]).name
    try:
        payload = path.read_bytes()
        if hashlib.sha256(payload).hexdigest() != described["sha256"]:
            raise InputError(
                f"'{path}' is damaged (its SHA-256 is another one): save the adapters again."
            )
        return load(payload)
    except (OSError, SafetensorError) as error:
        raise InputError(f"'{path}' cannot be read ({error}): save the adapters again.") from error


def _check_layers(model: nn.Module, modules: list[Mapping[str, Any]]) -> None:
    layers = dict(model.named_modules(remove_duplicate=False))
    for module in modules:
        if module["name"] not in layers:
            raise InputError(
                f"the saved adapters belong in '{module['name']}', which {type(model).__name__} "
                "does not have: load them into the model they were made for."
            )


@torch.no_grad()
def _load(model: nn.Module, tensors: Mapping[str, Tensor], folder: Path) -> None:
    expected = {
        f"{layer}.{name}": tensor
        for layer, adapter in adapters_in(model).items()
        for name, tensor in adapter.state_dict(keep_vars=True).items()
        if not _of_the_model(adapter, name)
    }
    shapes = {name: tensor.shape for name, tensor in expected.items()}
    if shapes != {name: tensor.shape for name, tensor in tensors.items()}:
        wrong = sorted(
            name
            for name in shapes.keys() | tensors.keys()
            if name not in tensors or shapes.get(name) != tensors[name].shape
        )
        remove(model)
        raise InputError(
            f"the adapters in '{folder}' do not fit this model ({', '.join(wrong[:3])}): load them "
            "into the model they were made for."
        )
    for name, tensor in expected.items():
        tensor.copy_(tensors[name])
