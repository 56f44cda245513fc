"""A language model, an adapter in its layers and texts as it reads them, from a configuration."""

import hashlib
import json
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ntklab.adapters.inject import Target, inject, select_targets
from ntklab.adapters.inject.peft import inject_peft
from ntklab.adapters.spec import PEFT, STARTS
from ntklab.errors import InputError
from ntklab.experiments.spectrum.config import SpectrumConfig
from ntklab.experiments.spectrum.inside.spec import ModelSpec
from ntklab.jacobians.readout import Loss, Margin, Readout, TokenLogits, readout_named
from ntklab.tasks.prompt.model import PromptModel, load_prompt_model
from ntklab.tasks.prompt.template import Template
from ntklab.tasks.prompt.texts import Texts, read_texts

_IGNORED = -100  # a label that no loss counts


@dataclass(frozen=True, eq=False)
class Read:
    """Texts as a model reads them.

    Attributes:
        inputs: keyword arguments of the model, each with leading dimension N; with `labels` where
            the readout needs them.
        readout: what the C numbers of a sample are; None for the whole vocabulary.
        labels: class of each text as the place of its label word; None where they are not known.
        cut: how many texts were shortened.
        available: texts in the file.
    """

    inputs: dict[str, Tensor]
    readout: Readout | None
    labels: Int[Tensor, " N"] | None
    cut: int
    available: int

    @property
    def samples(self) -> int:
        """N."""
        return len(self.inputs["input_ids"])

    @property
    def length(self) -> int:
        """T, tokens of the longest text."""
        return self.inputs["input_ids"].shape[1]

    def one_hot(self, outputs: int) -> Float[Tensor, "N C"] | None:
        """Labels less their mean over outputs, where there is one output a label word."""
        if self.labels is None or not isinstance(self.readout, TokenLogits):
            return None
        onehot = torch.nn.functional.one_hot(self.labels, outputs)
        return onehot.to(torch.float64) - 1 / outputs


@lru_cache(maxsize=2)
def loaded(
    model: str, tokenizer: str | None, dtype: torch.dtype, device: str, weights: bool
) -> PromptModel:
    """The plain model; the last two are kept, since cells differ in their adapters alone.

    Raises:
        InputError: what `load_prompt_model` refuses, or weights that are quantized.
    """
    loaded = load_prompt_model(
        model, tokenizer=tokenizer, device=device, dtype=dtype, weights=weights
    )
    if getattr(loaded.model.config, "quantization_config", None):
        raise InputError(
            f"the weights of '{model}' are quantized, and a kernel needs real numbers: name the "
            "model as it was before (float32 or bfloat16)."
        )
    return loaded


def plain_model(config: SpectrumConfig, *, weights: bool = True) -> PromptModel:
    """The model of a cell, without adapters; not to be changed."""
    spec, compute = config.inside, config.compute
    assert spec.model is not None
    return loaded(spec.model, spec.tokenizer, compute.torch_dtype, compute.device, weights)


def adapted_model(config: SpectrumConfig, *, weights: bool = True) -> nn.Module:
    """The model of a cell with its adapters, drawn by its seed, as a copy.

    Adapters of this library leave the weights alone, which the copy shares; peft's may change
    them.

    Raises:
        InputError: targets, layers, starts or sizes that do not fit, or what peft refuses.
    """
    plain = plain_model(config, weights=weights).model
    spec, adapter = config.inside, config.adapter
    placed: dict[str, Any] = {
        "target_modules": spec.targets,
        "layers": spec.layers,
        "seed": config.compute.seed,
    }
    if not adapter.method.startswith(PEFT):
        if adapter.preset not in STARTS:
            raise InputError(
                f"preset = {adapter.preset} is no start inside a model: choose {', '.join(STARTS)}."
            )
        model = _sharing_copy(plain)
        return inject(
            model, adapter.method, start=adapter.preset, scale=adapter.scale, **placed,
            **adapter.sizes,
        ).eval()  # fmt: skip
    _check_peft(config)
    ranks: dict[str, Any] = {} if adapter.rank is None else {"r": adapter.rank}
    return inject_peft(deepcopy(plain), adapter.method, **placed, **ranks).eval()


def one_of_a_kind(model: nn.Module) -> list[str]:
    """The last trained parameter of every kind: of equal names but for numbers of blocks."""
    last: dict[str, str] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            last[".".join(part for part in name.split(".") if not part.isdigit())] = name
    return list(last.values())


def targets_of(config: SpectrumConfig, model: nn.Module) -> list[Target]:
    """The layers of a plain model that get an adapter."""
    return select_targets(model, config.inside.targets, config.inside.layers)


def read(config: SpectrumConfig, *, weights: bool = True) -> Read:
    """The texts of a cell, drawn by its seed, as tokens; and its readout.

    Raises:
        InputError: a file, column, template or label word that cannot be used, fewer texts than
            samples, or a readout that the model does not have.
    """
    spec = config.inside
    assert spec.text is not None
    model = plain_model(config, weights=weights)
    texts = texts_of(spec)
    if config.samples > len(texts.texts):
        raise InputError(
            f"{config.samples} samples were asked for, but '{Path(spec.text).name}' has "
            f"{len(texts.texts)} texts: choose 1 to {len(texts.texts)}."
        )
    order = torch.randperm(
        len(texts.texts), generator=torch.Generator().manual_seed(config.compute.seed)
    )
    chosen = order[: config.samples].sort().values.tolist()
    tokens = Template(spec.template).tokens(
        model.tokenizer,
        [texts.texts[place] for place in chosen],
        most=min(spec.tokens, model.most_tokens),
        masked=model.masked,
    )
    known = _known_labels(spec, texts)
    labels = None if known is None else torch.tensor([known[place] for place in chosen])
    mask = torch.arange(tokens.ids.shape[1]) < tokens.lengths[:, None]
    inputs = {"input_ids": tokens.ids, "attention_mask": mask.long()}
    readout = readout_of(spec, model)
    if isinstance(readout, Loss) and not spec.words:
        inputs["labels"] = tokens.ids.masked_fill(~mask, _IGNORED)
    elif readout is not None and readout.labelled:
        assert labels is not None
        inputs["labels"] = labels
    on_device = {name: value.to(config.compute.device) for name, value in inputs.items()}
    return Read(on_device, readout, labels, tokens.cut, len(texts.texts))


def readout_of(spec: ModelSpec, model: PromptModel) -> Readout | None:
    """The readout that gives a sample's C numbers; None for the trace over the whole vocabulary.

    Raises:
        InputError: label words of several tokens, or a readout that a masked model does not have.
    """
    if model.masked and spec.kind in ("vocabulary", "logits") + (() if spec.words else ("loss",)):
        raise InputError(
            f"--readout {spec.readout} reads the next token, but '{model.name}' fills masks: write "
            "--readout tokens:great,terrible."
        )
    if spec.kind == "vocabulary":
        return None
    named = readout_named(spec.readout, model.tokenizer)
    at = model.tokenizer.mask_token_id if model.masked else None
    if at is None:
        return named
    inner = TokenLogits(_words(named).tokens, at)
    if isinstance(named, TokenLogits):
        return inner
    return Loss(inner) if isinstance(named, Loss) else Margin(inner)


def _words(readout: Readout) -> TokenLogits:
    logits = readout.logits if isinstance(readout, Loss | Margin) else readout
    assert isinstance(logits, TokenLogits)
    return logits


def texts_of(spec: ModelSpec) -> Texts:
    """The texts of a file.

    Raises:
        InputError: what `read_texts` refuses.
    """
    assert spec.text is not None
    return read_texts(spec.text, text_column=spec.text_column, label_column=spec.label_column)


def source_hashes(spec: ModelSpec) -> dict[str, str]:
    """Hashes of the texts and the model, since files may change behind a path.

    Of a model's files the configuration is hashed whole, weights by name and size.
    """
    assert spec.model is not None
    assert spec.text is not None
    hashes = {"text": _digest(Path(spec.text).read_bytes())}
    place = Path(spec.model)
    files = sorted(place.iterdir()) if place.is_dir() else [place] if place.is_file() else []
    if files:
        sizes = [[file.name, file.stat().st_size] for file in files if file.is_file()]
        settings = place / "config.json"
        text = settings.read_text("utf-8") if settings.is_file() else ""
        hashes["model"] = _digest(json.dumps([sizes, text]).encode())
    return hashes


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _known_labels(spec: ModelSpec, texts: Texts) -> tuple[int, ...] | None:
    return texts.labels(spec.words) if texts.classes is not None and spec.words else None


def _sharing_copy(model: nn.Module) -> nn.Module:
    """Modules of its own around the same weights and buffers."""
    shared: dict[int, Any] = {id(t): t for t in (*model.parameters(), *model.buffers())}
    return deepcopy(model, shared)


def _check_peft(config: SpectrumConfig) -> None:
    adapter = config.adapter
    if adapter.preset != "ntk" or adapter.scale is not None:
        raise InputError(
            f"{adapter.method} starts as peft starts it: leave --preset and --scale out."
        )
