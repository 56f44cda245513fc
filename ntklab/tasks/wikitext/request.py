"""A name for what was asked of a language model, known without loading the model."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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
    prints = [_fingerprint(source) for source in (spec, tokenizer) if source is not None]
    if None in prints:
        return None
    try:
        made_by = [version(name) for name in ("transformers", "torch")]
    except PackageNotFoundError:
        return None
    words = json.dumps([prints, made_by, dict(asked)], sort_keys=True)
    return hashlib.sha256(words.encode()).hexdigest()


def _fingerprint(spec: str | Path) -> str | None:
    path = Path(spec)
    if str(spec) == RANDOM_GPT2:
        return RANDOM_GPT2
    files = [path] if path.is_file() else sorted(path.glob("*")) if path.is_dir() else []
    digest = hashlib.sha256()
    for file in (path for path in files if path.is_file()):
        digest.update(f"\0{file.name}\0".encode())
        with file.open("rb") as opened:
            while block := opened.read(_MEGABYTE):
                digest.update(block)
    return digest.hexdigest() if files else None
