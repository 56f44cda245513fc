"""Time and memory of a spectrum inside a model, before a weight is loaded.

The model is made from its configuration on torch's `meta` device, where tensors have shapes and no
numbers: a forward and a backward pass there cost nothing, and say how many multiply-adds they take
and what autograd keeps.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ntklab.adapters.inject import adapters_in, injection_of
from ntklab.adapters.spec import AdapterSpec
from ntklab.errors import InputError
from ntklab.experiments.spectrum.config import SpectrumConfig
from ntklab.experiments.spectrum.inside.source import (
    Read,
    adapted_model,
    one_of_a_kind,
    plain_model,
    read,
    targets_of,
)
from ntklab.host_memory import enough_memory, format_memory
from ntklab.jacobians.memory import default_memory
from ntklab.jacobians.readout import Readout, TokenLogits
from ntklab.spectra.routes import gram_bytes

# Samples on which derivative, engine and comparison with `loop` are tried, beside the kernel's own.
_TRIED = 8
_PROBE = 512

# Forward passes of the comparison with finite differences, a kind of parameter; and what a call of
# a module costs in Python, in seconds.
_DIFFERENCES, _A_CALL = 12, 5e-5


@dataclass(frozen=True)
class ModelPreview:
    """One adapter inside a model, before its weights are loaded.

    Attributes:
        adapter: method and sizes as asked for.
        layers: how many layers get one.
        shapes: its tensor trains in the first of them, as text.
        parameters: P.
        outputs: N·C; N for a whole vocabulary.
        passes: backward passes of the batch; C, or what a whole vocabulary takes.
        tokens: T.
        weight_bytes: of the model.
        memory_bytes: of kernel, solver and what the layers keep, within the memory allowed.
        seconds: of one cell, as estimated; good to a factor of about 3.
        warnings: whole sentences.
    """

    adapter: AdapterSpec
    layers: int
    shapes: dict[str, str]
    parameters: int
    outputs: int
    passes: int
    tokens: int
    weight_bytes: int
    memory_bytes: int
    seconds: float
    warnings: tuple[str, ...]


@lru_cache(maxsize=64)
def model_preview(config: SpectrumConfig) -> ModelPreview:
    """Plan a cell from the model's configuration and its texts; no weight is loaded.

    Raises:
        InputError: for whatever the cell itself would refuse, as far as shapes and texts tell.
    """
    texts = read(config, weights=False)
    targets = targets_of(config, plain_model(config, weights=False).model)
    model = adapted_model(config, weights=False)
    trained = [p for p in model.parameters() if p.requires_grad]
    outputs, passes = _outputs(config, model, texts)
    dry = _dry_pass(model, texts)
    itemsize = config.compute.torch_dtype.itemsize
    parameters, rows = sum(p.numel() for p in trained), texts.samples * outputs
    activations = sum(t.in_features + passes * t.out_features for t in targets) * texts.length
    held = texts.samples * (min(passes * parameters, activations) * itemsize + dry.saved_bytes)
    memory = config.memory or default_memory(config.compute.device)
    solver = gram_bytes(rows)
    _refuse_too_little(config, memory, solver, dry.saved_bytes + 2 * activations * itemsize)
    notes = (
        () if not texts.cut else (f"{texts.cut} texts are cut to {config.inside.tokens} tokens",)
    )
    return ModelPreview(
        adapter=config.adapter,
        layers=len(targets),
        shapes=_shapes(model),
        parameters=parameters,
        outputs=rows,
        passes=passes,
        tokens=texts.length,
        weight_bytes=sum(p.numel() for p in model.parameters()) * itemsize,
        memory_bytes=min(memory, solver + held),
        seconds=(texts.samples + _TRIED) * dry.work(passes) / _rate(config)
        + _calls(model, passes) * _A_CALL,
        warnings=(*notes, *_warnings(model)),
    )


def model_previews(configs: Sequence[SpectrumConfig]) -> list[ModelPreview]:
    """One preview an adapter, at the first seed of each."""
    first: dict[AdapterSpec, SpectrumConfig] = {}
    for config in configs:
        first.setdefault(config.adapter, config)
    return [model_preview(config) for config in first.values()]


@dataclass(frozen=True)
class DryPass:
    """Costs of one sample.

    Attributes:
        forward: multiply-adds of a forward pass.
        backward: of a backward pass, as far down as the first adapter.
        saved_bytes: that autograd keeps.
    """

    forward: float
    backward: float
    saved_bytes: int

    def work(self, passes: int) -> float:
        """Multiply-adds of one forward and so many backward passes."""
        return self.forward + passes * self.backward


def _dry_pass(model: nn.Module, texts: Read) -> DryPass:
    """A pass of one sample without numbers."""
    x = {n: torch.empty_like(value[:1], device="meta") for n, value in texts.inputs.items()}
    readout = texts.readout or TokenLogits((0,))
    own = {id(p) for p in model.parameters()}
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if id(tensor) not in own:
            saved[id(tensor)] = tensor.numel() * tensor.element_size()
            alive.append(tensor)  # so that no other takes its number
        return tensor

    alive: list[Tensor] = []
    trained = [p for p in model.parameters() if p.requires_grad]
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t)
    with torch.enable_grad():
        with FlopCounterMode(display=False) as forward, hooks:
            outputs = _read(model, readout, x)
        with FlopCounterMode(display=False) as backward:
            torch.autograd.grad(outputs.sum(), trained, allow_unused=True)
    counts = forward.get_total_flops() / 2, backward.get_total_flops() / 2
    return DryPass(*counts, sum(saved.values()))


def _read(model: nn.Module, readout: Readout, x: dict[str, Tensor]) -> Tensor:
    # Masks of some models depend on numbers, which are not there; they cost nothing.
    return readout.read(model, lambda: model(input_ids=x["input_ids"]), x)


def _outputs(config: SpectrumConfig, model: nn.Module, texts: Read) -> tuple[int, int]:
    """C, and backward passes."""
    if texts.readout is None:
        width: int = model.get_output_embeddings().in_features  # type: ignore[operator]
        passes = config.inside.passes
        # Draws are chosen by their own spread; the exact passes are the most they can be.
        return 1, passes if isinstance(passes, int) else width
    x = {n: torch.empty_like(value[:1], device="meta") for n, value in texts.inputs.items()}
    with torch.no_grad():
        count = prod(_read(model, texts.readout, x).shape[1:])
    return count, count


def _shapes(model: nn.Module) -> dict[str, str]:
    if injection_of(model) is None:
        return {}
    first = next(iter(adapters_in(model).values()))
    return {name: str(shape) for name, shape in first.shapes.items()}


def _warnings(model: nn.Module) -> tuple[str, ...]:
    if injection_of(model) is None:
        return ()
    return tuple(dict.fromkeys(w for one in adapters_in(model).values() for w in one.warnings))


def _refuse_too_little(config: SpectrumConfig, memory: int, solver: int, sample: int) -> None:
    least = solver + sample
    if memory < least:
        said = "" if config.memory is None else f" = {format_memory(memory)}"
        raise InputError(
            f"memory{said} is too little for {config.adapter.method} inside "
            f"'{config.inside.model}' with {config.samples} samples: it takes at least "
            f"{enough_memory(least)}; allow that (--memory), or take fewer samples, fewer outputs "
            "(--readout) or fewer tokens."
        )


def _calls(model: nn.Module, passes: int) -> int:
    """Calls of modules, whatever the number of samples."""
    kinds = len(one_of_a_kind(model))
    return sum(1 for _ in model.modules()) * (passes + _DIFFERENCES * kinds)


def _rate(config: SpectrumConfig) -> float:
    """Multiply-adds a second of a product of matrices, measured."""
    a = torch.randn(_PROBE, _PROBE, dtype=config.compute.torch_dtype, device=config.compute.device)
    a @ a
    start = time.perf_counter()
    (a @ a).sum().item()
    return _PROBE**3 / (time.perf_counter() - start)


def plan_rows(previews: Sequence[ModelPreview]) -> list[dict[str, Any]]:
    """The previews as a table."""
    return [
        {
            "method": one.adapter.method,
            "shapes": "; ".join(f"{name} {shape}" for name, shape in one.shapes.items()) or None,
            "layers": one.layers,
            "parameters": one.parameters,
            "outputs": one.outputs,
            "passes": one.passes,
            "tokens": one.tokens,
            "weights": format_memory(one.weight_bytes),
            "memory": format_memory(one.memory_bytes),
            "seconds": one.seconds,
        }
        for one in previews
    ]
