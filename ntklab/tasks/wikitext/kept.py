"""Hidden states that are on disk already, found again without loading the model that made them."""

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ntklab.tasks.wikitext.language_model import RANDOM_GPT2

_MEGABYTE = 1 << 20


def request_digest(
    spec: str | Path, tokenizer: str | Path | None, asked: Mapping[str, object]
) -> str | None:
    """A name for what was asked for, from the bytes of the model's files; None for a hub's name.

    What a name on the hub means can change from day to day, so such a model is loaded to be sure.

    Args:
        spec: of the model: a file, a folder, or ``gpt2-random``.
        tokenizer: a folder, or None for the model's own.
        asked: everything else that decides the states, JSON data.

    Cost: one pass over the files, about 1 GB/s.
    """
    prints = [_fingerprint(one) for one in (spec, tokenizer) if one is not None]
    if None in prints:
        return None
    try:
        made_by = [version(name) for name in ("transformers", "torch")]
    except PackageNotFoundError:
        return None
    told = json.dumps([prints, made_by, dict(asked)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _fingerprint(spec: str | Path) -> str | None:
    path = Path(spec)
    if str(spec) == RANDOM_GPT2:
        return RANDOM_GPT2
    files = [path] if path.is_file() else sorted(path.glob("*")) if path.is_dir() else []
    digest = hashlib.sha256()
    for file in (one for one in files if one.is_file()):
        digest.update(f"\0{file.name}\0".encode())
        with file.open("rb") as opened:
            while block := opened.read(_MEGABYTE):
                digest.update(block)
    return digest.hexdigest() if files else None


def keep_request(
    folder: Path, digest: str, tensors: Mapping[str, Tensor], told: Mapping[str, object]
) -> None:
    """Keep tensors and words under a digest; the file is whole or absent."""
    path = _path(folder, digest)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with suppress(OSError):  # a cache that cannot be written is no cache
        folder.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(save(kept, metadata={"ntklab": json.dumps(dict(told))}))
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def read_request(
    folder: Path, digest: str, device: torch.device | str
) -> tuple[dict[str, Tensor], dict[str, object]] | None:
    """What was kept under a digest, or None where there is nothing or it is damaged."""
    try:
        with safe_open(_path(folder, digest), framework="pt", device=str(device)) as file:
            told = json.loads(file.metadata()["ntklab"])
            return {name: file.get_tensor(name) for name in file.keys()}, told  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None


def _path(folder: Path, digest: str) -> Path:
    return folder / f"next-token-{digest}.safetensors"
