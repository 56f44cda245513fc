"""Hidden states of a text, computed once and read from disk as they are needed."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.tasks.cache import new_array, prepare, read_array
from ntklab.tasks.features import Progress, feature_hash
from ntklab.tasks.wikitext.language_model import LanguageModel
from ntklab.tasks.wikitext.windows import Windows

_DTYPES = {"float32": np.float32, "float16": np.float16}


@dataclass(frozen=True, eq=False, repr=False)
class HiddenStates(ShortRepr):
    """Inputs of the last projection at every counted prediction, and the tokens that came.

    Attributes:
        features: φ, shape (N, d), float32 or float16; memory-mapped where there is a cache, so
            that only the rows in use take memory.
        labels: the next token of each row, int64 (N,).
        digest: hash of model, tokens, context and stride: equal digests, equal numbers.
    """

    features: Float[Tensor, "N d"]
    labels: Int[Tensor, " N"]
    digest: str

    @property
    def n_samples(self) -> int:
        """N, the predictions."""
        return len(self.labels)


def hidden_states(
    model: LanguageModel,
    windows: Windows,
    *,
    batch: int = 1,
    cache: Path | str | None = None,
    storage: str = "float32",
    progress: Progress | None = None,
) -> HiddenStates:
    """Hidden states of every counted prediction of the windows.

    Args:
        model: the frozen language model.
        windows: what it reads; their stride says what counts.
        batch: windows at a time; states do not depend on it beyond rounding.
        cache: folder of cached states, or None to keep them in memory. The file is a plain
            ``.npy`` beside a ``.json`` with its hash; a damaged one is computed anew.
        storage: ``float32``, or ``float16`` at half the disk (perplexities then move by about
            1e-4 of themselves).
        progress: called as ``progress(tokens done, all tokens)``.

    Returns:
        The states; labels are cut from the windows.

    Raises:
        InputError: an unknown storage, tokens outside the vocabulary, an unusable cache folder.

    Cost: one forward pass without its last projection; SmolLM2-135M reads about 850 tokens a
    second on two CPU cores.
    """
    if storage not in _DTYPES:
        raise InputError(f"storage = '{storage}' must be float32 or float16.")
    if int(windows.ids.max()) >= model.vocabulary or int(windows.ids.min()) < 0:
        raise InputError(
            f"the text has token ids up to {int(windows.ids.max())}, but '{model.name}' has "
            f"{model.vocabulary}: the tokenizer belongs to another model."
        )
    digest = _digest(model, windows, storage)
    path = None if cache is None else Path(cache) / f"hidden-{digest}.npy"
    shape = (windows.predictions, model.width)
    known = None if path is None else read_array(path, shape, _DTYPES[storage])
    if known is None:
        known = _compute(model, windows, batch, path, _DTYPES[storage], progress)
    if progress is not None:
        progress(windows.ids.numel(), windows.ids.numel())
    return HiddenStates(torch.from_numpy(known), windows.labels(), digest)


def read_states(
    folder: Path, digest: str, shape: tuple[int, int], storage: str
) -> Float[Tensor, "N d"] | None:
    """States in the cache by their digest, memory-mapped; None where absent or damaged."""
    states = read_array(folder / f"hidden-{digest}.npy", shape, _DTYPES[storage])
    return None if states is None else torch.from_numpy(states)


def _digest(model: LanguageModel, windows: Windows, storage: str) -> str:
    words = f"{feature_hash(model.model, windows.ids)} {windows.stride} {storage}"
    return hashlib.sha256(words.encode()).hexdigest()


def _compute(
    model: LanguageModel,
    windows: Windows,
    batch: int,
    path: Path | None,
    dtype: type,
    progress: Progress | None,
) -> np.ndarray:
    shape = (windows.predictions, model.width)
    if path is None:
        states: np.ndarray = np.empty(shape, dtype)
        _fill(states, model, windows, batch, progress)
        return states
    prepare(path.parent)
    with new_array(path, shape, dtype) as array:
        _fill(array, model, windows, batch, progress)
    return np.load(path, mmap_mode="c", allow_pickle=False)


def _fill(
    states: np.ndarray, model: LanguageModel, windows: Windows, batch: int, report: Progress | None
) -> None:
    row, counted = 0, windows.counted
    for start in range(0, len(windows.ids), batch):
        ids, mask = windows.ids[start : start + batch], counted[start : start + batch]
        part = model.hidden(ids)[:, :-1][mask.to(model.device)]
        states[row : row + len(part)] = part.float().cpu().numpy()
        row += len(part)
        if report is not None:
            report(min(start + batch, len(windows.ids)) * windows.context, windows.ids.numel())
