"""The cache of tasks: features and hidden states on disk, each under a hash of what decides it.

A file is whole or absent, and holds the SHA-256 of its tensors: a damaged one is computed anew.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ntklab.errors import InputError
from ntklab.files import make_folder, whole_file, write_text


def default_cache() -> Path:
    """The folder of cached features.

    ``NTKLAB_CACHE`` where it is set, else ``ntklab`` under ``XDG_CACHE_HOME``, else
    ``~/.cache/ntklab``. The folder is made when the first features are written.
    """
    if own := os.environ.get("NTKLAB_CACHE"):
        return Path(own).expanduser()
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg).expanduser() / "ntklab"
    return Path.home() / ".cache" / "ntklab"


def cache_folder(cache: Path | str | None) -> Path | None:
    """The folder that a `cache` option names: ``"default"``, a path, or None for no cache.

    >>> cache_folder("runs/cache").as_posix(), cache_folder(None)
    ('runs/cache', None)
    """
    return default_cache() if cache == "default" else None if cache is None else Path(cache)


def prepare(folder: Path) -> None:
    """Make a cache folder, before the work whose result it is to hold.

    Raises:
        InputError: it cannot be made or written to.
    """
    with suppress(InputError):
        make_folder(folder)
    if not os.access(folder, os.W_OK | os.X_OK) or not folder.is_dir():
        raise InputError(
            f"the cache folder '{folder}' cannot be written: give another one, or set NTKLAB_CACHE."
        )


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a tensor in row-major order; also of dtypes that numpy has not (bfloat16)."""
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, object] | None = None
) -> None:
    """Write named tensors, and JSON data beside them, as one safetensors file.

    Args:
        path: the file; its folder is made.
        tensors: any dtypes, from any device.
        notes: JSON data to be read with them.

    Raises:
        InputError: the file cannot be written.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    words = {"sha256": _digest(plain), "ntklab": json.dumps(dict(notes or {}))}
    with whole_file(path) as temporary:
        temporary.write_bytes(save(plain, metadata=words))


def read_tensors(
    path: Path, device: torch.device | str = "cpu"
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and notes of a file, or None where it is absent or damaged.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.safetensors"
        >>> write_tensors(path, {"x": torch.ones(2)}, {"seed": 0})
        >>> read_tensors(path)
        ({'x': tensor([1., 1.])}, {'seed': 0})
        >>> _ = path.write_bytes(path.read_bytes()[:-1] + b"!")
        >>> read_tensors(path) is None
        True
    """
    try:
        with safe_open(path, framework="pt") as file:
            words = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        notes = json.loads(words.get("ntklab", "{}"))
    except (SafetensorError, OSError, ValueError):
        return None
    if words.get("sha256") != _digest(tensors):
        return None
    return {name: value.to(device) for name, value in tensors.items()}, notes


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensor_bytes(tensors[name]))
    return digest.hexdigest()


@contextmanager
def new_array(path: Path, shape: tuple[int, ...], dtype: type) -> Iterator[np.ndarray]:
    """An array on disk to be filled within the block: ``.npy``, with a ``.json`` for its hash.

    For what does not fit into memory. Nothing is left behind where the block fails.

    Args:
        path: the ``.npy`` file; its folder is made.
        shape: of the array.
        dtype: a numpy type.

    Raises:
        InputError: the files cannot be written.
    """
    with whole_file(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        yield array
        array.flush()
        sha256 = _array_digest(array)
    # Written last: an array without its hash counts as damaged, never the reverse.
    write_text(path.with_suffix(".json"), json.dumps({"sha256": sha256}))


def read_array(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray | None:
    """An array of `new_array`, memory-mapped; None where it is absent, damaged or another.

    Mapped copy-on-write: torch wants arrays that could be written, and the file stays as it is.
    """
    try:
        notes = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    expected = array.shape == shape and array.dtype == dtype
    return array if expected and notes.get("sha256") == _array_digest(array) else None


def _array_digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
