"""The wikitext task: which token comes next, from the states of a frozen language model."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.tasks.cache import cache_folder, read_tensors, write_tensors
from ntklab.tasks.features import Progress
from ntklab.tasks.task import Split, Task
from ntklab.tasks.wikitext.hidden import HiddenStates, hidden_states, read_states
from ntklab.tasks.wikitext.language_model import LanguageModel, load_language_model
from ntklab.tasks.wikitext.perplexity import perplexity, token_losses
from ntklab.tasks.wikitext.request import request_digest
from ntklab.tasks.wikitext.text import SPLITS, read_text
from ntklab.tasks.wikitext.windows import Windows, cut_windows

TRAIN_WINDOWS, VALID_WINDOWS, TEST_WINDOWS = 16, 4, 8


@dataclass(frozen=True, eq=False, repr=False)
class NextToken(ShortRepr):
    """Hidden states of the three splits with the frozen projection W0 that they go through.

    Attributes:
        train: predictions to train on.
        valid: predictions that decide when to stop.
        test: predictions to judge by.
        weight: W0, shape (V, d), on the model's device.
        bias: of the projection (V,), or None.
        source: provenance as JSON-ready values.
    """

    train: HiddenStates
    valid: HiddenStates
    test: HiddenStates
    weight: Float[Tensor, "V d"]
    bias: Float[Tensor, " V"] | None
    source: dict[str, object]
    _baselines: dict[str, float] = field(default_factory=dict, repr=False)

    @property
    def width(self) -> int:
        """d."""
        return self.weight.shape[1]

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.weight.shape[0]

    def projection(self) -> nn.Linear:
        """The frozen last layer, as the `base` of an adapter; it shares W0's memory."""
        layer = nn.Linear(self.width, self.vocabulary, bias=self.bias is not None, device="meta")
        layer.weight = nn.Parameter(self.weight, requires_grad=False)
        if self.bias is not None:
            layer.bias = nn.Parameter(self.bias, requires_grad=False)
        return layer

    def baseline(self, split: str = "test") -> float:
        """Perplexity of the frozen model on ``train``, ``valid`` or ``test``; computed once."""
        if split not in self._baselines:
            states = {"train": self.train, "valid": self.valid, "test": self.test}[split]
            losses = token_losses(states.features, states.labels, self.weight, self.bias)
            self._baselines[split] = perplexity(losses)
        return self._baselines[split]

    def task(self, dtype: torch.dtype = torch.float64) -> Task:
        """Train and test as any other task has them, one class a word of the vocabulary."""

        def split(states: HiddenStates) -> Split:
            return Split(states.features.to(self.weight.device, dtype), states.labels)

        return Task(
            "wikitext", split(self.train), split(self.test), self.vocabulary, dict(self.source)
        )


def load_next_token(
    *,
    model: str | Path | LanguageModel = "gpt2",
    tokenizer: str | Path | None = None,
    data: Path | str | None = None,
    context: int = 1024,
    stride: int | None = None,
    train_windows: int = TRAIN_WINDOWS,
    valid_windows: int = VALID_WINDOWS,
    test_windows: int = TEST_WINDOWS,
    data_seed: int = 0,
    batch: int = 1,
    cache: Path | str | None = "default",
    storage: str = "float32",
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> NextToken:
    """Hidden states of WikiText-2 by a frozen causal language model.

    Validation and test windows are the first of their texts; training windows are drawn from the
    whole training text, without overlap, so that few of them still show many articles.

    Args:
        model: for :func:`load_language_model`, or a model that is loaded already.
        tokenizer: of the model, if it has none of its own.
        data: a folder or file for :func:`read_text`; the ``datasets`` hub if None.
        context: tokens a window, at most what the model was made for.
        stride: of the validation and test windows; `context` if None.
        train_windows: windows to train on.
        valid_windows: windows that decide when to stop.
        test_windows: windows to judge by.
        data_seed: of the choice of training windows.
        batch: windows that the model reads at a time.
        cache: folder of cached states, ``"default"`` for :func:`default_cache`, None for none.
        storage: dtype of the states on disk, ``float32`` or ``float16``.
        device: where the model computes.
        progress: called as ``progress(tokens done, all tokens)``, over all splits.

    A model that is a file or folder is not loaded at all where its states for these windows are in
    the cache: the projection and the labels are kept beside them, under a digest of its bytes.

    Raises:
        InputError: for a text, model or window that cannot be had, or a context that is longer
            than the model's.
        MissingExtraError: transformers or datasets is needed and not installed.
    """
    counts = dict(zip(SPLITS, (train_windows, valid_windows, test_windows), strict=True))
    texts = {name: read_text(data, name) for name in SPLITS}
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    folder = cache_folder(cache)
    asked = [hashes, context, stride, counts, data_seed, storage]
    digest = None
    if folder is not None and not isinstance(model, LanguageModel):
        digest = request_digest(model, tokenizer, {"asked": asked})
    if folder is not None and digest is not None:
        stored = _read_stored(folder, digest, device)
        if stored is not None:
            return stored
    loaded = (
        model
        if isinstance(model, LanguageModel)
        else load_language_model(model, tokenizer=tokenizer, device=device)
    )
    _check_context(loaded, context)
    cut: dict[str, Windows] = {}
    for name, count in counts.items():
        text = texts[name]
        if name == "train":
            cut[name] = cut_windows(loaded.tokenize(text), context, count=count, seed=data_seed)
        else:
            step = context if stride is None else stride
            ids = loaded.tokenize(text, context + (count - 1) * step)
            cut[name] = cut_windows(ids, context, stride=stride, count=count)
    report = _over_splits(progress, cut)
    states = {
        name: hidden_states(
            loaded, windows, batch=batch, cache=folder, storage=storage, progress=report(name)
        )
        for name, windows in cut.items()
    }
    source: dict[str, object] = {
        "data": "hub" if data is None else Path(data).name,
        "data_sha256": hashes,
        "model": loaded.name,
        "context": context,
        "stride": context if stride is None else stride,
        "windows": counts,
        "data_seed": data_seed,
        "storage": storage,
        "features_hash": {name: s.digest for name, s in states.items()},
    }
    weight = loaded.weight.detach()
    train, valid, test = (states[name] for name in SPLITS)
    data_and_head = NextToken(train, valid, test, weight, loaded.bias, source)
    if folder is not None and digest is not None:
        _store(folder, digest, data_and_head)
    return data_and_head


def _store(folder: Path, digest: str, data: NextToken) -> None:
    """The part of a task that is not in the files of hidden states."""
    tensors = {"weight": data.weight} | {
        f"labels.{name}": states.labels
        for name, states in zip(SPLITS, (data.train, data.valid, data.test), strict=True)
    }
    if data.bias is not None:
        tensors["bias"] = data.bias
    write_tensors(_path(folder, digest), tensors, data.source)


def _path(folder: Path, digest: str) -> Path:
    return folder / f"next-token-{digest}.safetensors"


def _read_stored(folder: Path, digest: str, device: torch.device | str) -> NextToken | None:
    """The task without its model, if it and all its hidden states are whole on disk."""
    stored = read_tensors(_path(folder, digest), device)
    if stored is None:
        return None
    tensors, source = stored
    weight = tensors["weight"]
    splits = []
    for name, states_digest in source["features_hash"].items():
        labels = tensors[f"labels.{name}"].cpu()
        shape = len(labels), weight.shape[1]
        states = read_states(folder, states_digest, shape, source["storage"])
        if states is None:
            return None
        splits.append(HiddenStates(states, labels, states_digest))
    train, valid, test = splits
    return NextToken(train, valid, test, weight, tensors.get("bias"), source)


def load_wikitext(
    *,
    model: str | Path | LanguageModel = "gpt2",
    tokenizer: str | Path | None = None,
    data: Path | str | None = None,
    context: int = 256,
    samples: int | None = None,
    train_windows: int = 16,
    test_windows: int = 2,
    data_seed: int = 0,
    cache: Path | str | None = "default",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
    progress: Progress | None = None,
) -> Task:
    """Next-token prediction as a classification task: features are hidden states, classes words.

    The part of :func:`load_next_token` that kernels need: train and test, without the frozen
    projection (it leaves no trace in a kernel), with one validation window that is not used, and
    with shorter windows: 16 of 256 are 4,080 samples to choose from, read in seconds.

    Args:
        model: see :func:`load_next_token`, as for the other options.
        tokenizer: of the model, if it has none of its own.
        data: text; the ``datasets`` hub if None.
        context: tokens a window.
        samples: how many will be drawn; more windows are read where they need more.
        train_windows: windows to take samples from, context − 1 each, unless `samples` needs more.
        test_windows: windows to judge by.
        data_seed: of the choice of training windows.
        cache: folder of cached states.
        device: where the model computes.
        dtype: of the features; they are computed in float32 and then converted.
        progress: called as ``progress(tokens done, all tokens)``.

    Returns:
        The task with ``n_classes`` = V.

    Raises:
        InputError: as :func:`load_next_token`.
    """
    return next_token_samples(
        model=model,
        tokenizer=tokenizer,
        data=data,
        context=context,
        samples=samples,
        train_windows=train_windows,
        test_windows=test_windows,
        data_seed=data_seed,
        cache=cache,
        device=device,
        progress=progress,
    ).task(dtype)


def next_token_samples(
    *,
    context: int = 256,
    samples: int | None = None,
    train_windows: int = 16,
    test_windows: int = 2,
    **options: Any,
) -> NextToken:
    """The parts of :func:`load_wikitext`, with the frozen projection still beside them.

    Args:
        context: see :func:`load_wikitext`.
        samples: likewise.
        train_windows: likewise.
        test_windows: likewise.
        **options: the others of :func:`load_wikitext`, without `dtype`.
    """
    return load_next_token(
        context=context,
        train_windows=max(train_windows, -(-(samples or 1) // max(context - 1, 1))),
        valid_windows=1,
        test_windows=test_windows,
        **options,
    )


def _check_context(model: LanguageModel, context: int) -> None:
    longest = getattr(model.model.config, "max_position_embeddings", None)
    if longest is not None and context > longest:
        raise InputError(
            f"context = {context} is longer than the {longest} tokens that '{model.name}' was made "
            f"for: give a context of at most {longest}."
        )


def _over_splits(
    progress: Progress | None, cut: dict[str, Windows]
) -> Callable[[str], Progress | None]:
    """One count of tokens over all splits, in their order."""
    sizes = [windows.ids.numel() for windows in cut.values()]
    before = dict(zip(cut, accumulate(sizes, initial=0), strict=False))

    def of(split: str) -> Progress | None:
        if progress is None:
            return None
        return lambda done, _: progress(before[split] + done, sum(sizes))

    return of
