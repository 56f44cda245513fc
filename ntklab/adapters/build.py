"""Adapters from their specification."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, nn

from ntklab.adapters.adapter import Adapter
from ntklab.adapters.presets import Draws, source
from ntklab.adapters.registry import METHODS
from ntklab.adapters.spec import AdapterSpec
from ntklab.errors import InputError

# The two heads that the authors' code puts on top of a random, untrained linear layer.
_RELEASED_ON_A_BASE = ("lora", "tt-lora")


def method_named(method: str) -> type[Adapter]:
    """The adapter class of that name.

    Raises:
        InputError: unknown name, with the nearest match.
    """
    adapter: type[Adapter] = METHODS.named(method)
    return adapter


def build_adapter(
    method: str | AdapterSpec | type[Adapter],
    in_features: int,
    out_features: int,
    *,
    base: nn.Linear | None = None,
    generator: Generator | None = None,
    seed: int | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    **spec: Any,
) -> Adapter:
    """An adapter by name and sizes; shapes that are left out are planned.

    Args:
        method: a name of `METHODS`, a whole `AdapterSpec`, or a class that has no name there.
        in_features: d.
        out_features: C.
        base: frozen linear layer; under `released` LoRA and TT-LoRA get a random one if None.
        generator: source of the draws; torch's global one if None.
        seed: of the draws, in place of a generator.
        dtype: of the parameters.
        device: of the parameters.
        **spec: fields of `AdapterSpec`: preset, scale, and sizes such as width, rank, tt_ranks.

    Raises:
        InputError: an unknown method or preset, a size that the method has no use for, or shapes
            that do not fit.
        TypeError: a word that is no field of `AdapterSpec`.

    Example:
        >>> head = build_adapter("tensorguide", 512, 2, width=4096)
        >>> head.parameter_count, str(head.shapes["cores"])
        (1220, 'in [1,2,2,1] out [16,16,257,32] ranks [1,2,2,1,1]')
    """
    given = {name: _as_tuple(value) for name, value in spec.items()}
    if isinstance(method, AdapterSpec):
        asked = method.with_(**given) if given else method
    else:
        name = method if isinstance(method, str) else method.method
        asked = AdapterSpec.of(method=name, **given)
    generator = source(generator, seed)
    adapter = method if isinstance(method, type) else method_named(asked.method)
    _check_uses(adapter, asked)
    if base is None and asked.preset == "released" and asked.method in _RELEASED_ON_A_BASE:
        base = Draws(generator, dtype, device).linear(in_features, out_features)
    made = adapter.from_sizes(
        in_features,
        out_features,
        asked,
        scale=asked.scale,
        base=base,
        preset=asked.preset,
        generator=generator,
        dtype=dtype,
        device=device,
    )
    made.spec = asked
    return made


def _check_uses(adapter: type[Adapter], spec: AdapterSpec) -> None:
    if idle := sorted(spec.sizes.keys() - adapter.uses):
        used = ", ".join(sorted(adapter.uses)) or "no sizes"
        raise InputError(
            f"{adapter.method} has no use for {', '.join(idle)}: it is shaped by {used}."
        )


def _as_tuple(value: Any) -> Any:
    whole = isinstance(value, Sequence) and not isinstance(value, str)
    return tuple(value) if whole else value
