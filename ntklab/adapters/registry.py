"""Methods by name: one line an adapter."""

from collections.abc import Sequence
from dataclasses import fields

import torch
from torch import Generator, nn

from ntklab.adapters.adapter import Adapter, Sizes
from ntklab.adapters.linear_probe import LinearProbe
from ntklab.adapters.lora import LoRA
from ntklab.adapters.presets import Draws, check_preset
from ntklab.adapters.tensorguide import TensorGuide
from ntklab.adapters.tera import TeRA
from ntklab.adapters.tt_delta import TTDelta
from ntklab.adapters.tt_lora import TTLoRA
from ntklab.errors import InputError, unknown

METHODS: dict[str, type[Adapter]] = {
    adapter.method: adapter for adapter in (LoRA, TTLoRA, TensorGuide, TTDelta, TeRA, LinearProbe)
}

# The two heads that the authors' code puts on top of a random, untrained linear layer.
_RELEASED_ON_A_BASE = ("lora", "tt-lora")


def method_named(method: str) -> type[Adapter]:
    """The adapter class of that name.

    Raises:
        InputError: unknown name, with the nearest match.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    return METHODS[method]


def build_adapter(
    method: str,
    in_features: int,
    out_features: int,
    *,
    preset: str = "ntk",
    width: int | None = None,
    rank: int | None = None,
    in_dims: Sequence[int] | None = None,
    out_dims: Sequence[int] | None = None,
    tt_ranks: Sequence[int] | None = None,
    budget: int | None = None,
    activation: str | None = None,
    scale: float | None = None,
    base: nn.Linear | None = None,
    generator: Generator | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Adapter:
    """An adapter by name and sizes; shapes that are left out are planned.

    Args:
        method: a name of `METHODS`.
        in_features: d.
        out_features: C.
        preset: `ntk`, `released` or `paper`.
        width: M of a generated head.
        rank: see `Sizes`.
        in_dims: latent modes.
        out_dims: weight modes.
        tt_ranks: r_0..r_K.
        budget: the most parameters, from which ranks are chosen.
        activation: σ.
        scale: factor of the adapted part; the preset's if None.
        base: frozen linear layer; under `released` LoRA and TT-LoRA get a random one if None.
        generator: source of the draws.
        dtype: of the parameters.
        device: of the parameters.

    Raises:
        InputError: an unknown method or preset, a size that the method has no use for, or shapes
            that do not fit.

    Example:
        >>> head = build_adapter("tensorguide", 512, 2, width=4096)
        >>> head.parameter_count, str(head.shapes["cores"])
        (1220, 'in [1,2,2,1] out [16,16,257,32] ranks [1,2,2,1,1]')
    """
    adapter = method_named(method)
    sizes = Sizes(
        width, rank, _tuple(in_dims), _tuple(out_dims), _tuple(tt_ranks), budget, activation
    )
    _check_uses(adapter, sizes)
    draws = Draws(generator, dtype, device)
    if base is None and check_preset(preset) == "released" and method in _RELEASED_ON_A_BASE:
        base = draws.linear(in_features, out_features)
    return adapter.from_sizes(
        in_features,
        out_features,
        sizes,
        scale=scale,
        base=base,
        preset=preset,
        generator=generator,
        dtype=dtype,
        device=device,
    )


def _check_uses(adapter: type[Adapter], sizes: Sizes) -> None:
    given = {field.name for field in fields(sizes) if getattr(sizes, field.name) is not None}
    if idle := sorted(given - adapter.uses):
        used = ", ".join(sorted(adapter.uses)) or "no sizes"
        raise InputError(
            f"{adapter.method} has no use for {', '.join(idle)}: it is shaped by {used}."
        )


def _tuple(values: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if values is None else tuple(values)
