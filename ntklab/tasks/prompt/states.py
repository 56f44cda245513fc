"""Hidden states of a frozen lower part: computed once, kept under a hash of what decides them."""

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.tasks.cache import prepare, read_tensors, tensor_bytes, write_tensors
from ntklab.tasks.prompt.model import WordLogits
from ntklab.tasks.prompt.template import Tokens

Progress = Callable[[int, int], object]


def frozen_states(
    logits: WordLogits,
    tokens: Tokens,
    *,
    batch_size: int = 16,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Float[Tensor, "N T d"]:
    """The hidden states that enter block `logits.first`, of every prompt.

    Args:
        logits: the model.
        tokens: the prompts.
        batch_size: prompts at a time; it changes no state beyond rounding.
        cache: folder of states, or None. A damaged file is computed anew.
        progress: called as ``progress(done, total)``.

    Returns:
        States on the model's device, in its dtype.

    Raises:
        InputError: the cache folder cannot be written.

    Cost: one forward pass of the blocks below `first`; the cache one pass over their weights.
    """
    device = logits.words.device
    report: Progress = progress or (lambda done, total: None)
    count = len(tokens.ids)
    path = None
    if cache is not None:
        prepare(cache)
        path = cache / f"prompt-{_digest(logits, tokens)}.safetensors"
        known = read_tensors(path, device)
        if known is not None and len(known[0].get("states", ())) == count:
            report(count, count)
            return known[0]["states"]
    states = _computed(logits, tokens, batch_size, report)
    if path is not None:
        write_tensors(path, {"states": states})
    return states


def _computed(
    logits: WordLogits, tokens: Tokens, batch_size: int, report: Progress
) -> Float[Tensor, "N T d"]:
    """Prompts of like length together, so that little padding is computed; behind a prompt, 0."""
    device, count, longest = logits.words.device, len(tokens.ids), tokens.ids.shape[1]
    states: Tensor | None = None
    for start in range(0, count, batch_size):
        rows = torch.argsort(tokens.lengths, stable=True)[start : start + batch_size]
        most = int(tokens.lengths[rows].max())
        piece = logits.states(tokens.ids[rows, :most].to(device), tokens.lengths[rows].to(device))
        if states is None:
            states = piece.new_zeros(count, longest, piece.shape[2])
        states[rows.to(device), :most] = piece
        report(min(start + batch_size, count), count)
    assert states is not None
    return states


def _digest(logits: WordLogits, tokens: Tokens) -> str:
    """A hash of the weights below `first`, the model's configuration, the prompts and versions."""
    model, first = logits.model, logits.first
    described = {
        "class": type(model).__name__,
        "config": _settings(model),
        "first": first,
        "versions": [version(name) for name in ("transformers", "torch")],
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    above = tuple(f"{logits.blocks_name}.{k}." for k in range(first, logits.block_count))
    for name, value in sorted({**model.state_dict()}.items()):
        if name.startswith(f"{logits.base_name}.") and not name.startswith(above):
            digest.update(f"\0{name}\0{value.dtype}\0".encode())
            digest.update(tensor_bytes(value))
    for value in (tokens.ids, tokens.lengths):
        digest.update(str(tuple(value.shape)).encode())
        digest.update(tensor_bytes(value))
    return digest.hexdigest()


def _settings(model: torch.nn.Module) -> dict[str, object]:
    settings: dict[str, object] = model.config.to_dict()  # type: ignore[operator, union-attr]
    return {name: value for name, value in settings.items() if name != "_name_or_path"}
