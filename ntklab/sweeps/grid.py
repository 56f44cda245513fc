"""A grid of spectra: method × width × rank × TT-ranks × seed, each point once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from ntklab.adapters import METHODS
from ntklab.adapters.spec import SIZES
from ntklab.errors import InputError
from ntklab.records import Record
from ntklab.sweeps.config import SpectrumConfig
from ntklab.sweeps.preview import feature_hashes

#: What a sweep varies; everything else is the same in every cell of one folder.
AXES = ("method", "seed", "data_condition", *SIZES)


def grid(
    configs: Sequence[SpectrumConfig], axes: Mapping[str, Sequence[Any]]
) -> list[SpectrumConfig]:
    """Every configuration at every combination of sizes that its method has a use for.

    A size that a method has no use for is left out there, so LoRA appears once a seed in a sweep
    over widths and not once a width.

    Args:
        configs: one a method, seed and data condition.
        axes: values by name of a size, such as `{"width": (64, 256)}`; an axis
            without values does not vary.

    Raises:
        InputError: a field that is no size, or one that no method here uses.

    Example:
        >>> start = [SpectrumConfig.of(method=method) for method in ("lora", "tensorguide")]
        >>> [(one.adapter.method, one.adapter.width) for one in grid(start, {"width": (64, 256)})]
        [('lora', None), ('tensorguide', 64), ('tensorguide', 256)]
    """
    axes = {name: values for name, values in axes.items() if len(values)}
    used = {m: METHODS.named(m).uses for m in {one.adapter.method for one in configs}}
    for name in axes:
        if not any(name in sizes for sizes in used.values()):
            raise InputError(
                f"--{name.replace('_', '-')} has no meaning for {', '.join(sorted(used))}: "
                "leave it out."
            )
    points = []
    for config in configs:
        own = {name: values for name, values in axes.items() if name in used[config.adapter.method]}
        for values in product(*own.values()):
            points.append(config.with_(**dict(zip(own, values, strict=True))))
    return list(dict.fromkeys(points))


def first_seeds(configs: Sequence[SpectrumConfig]) -> list[SpectrumConfig]:
    """One configuration for each point of the grid, at its first seed and data condition."""
    first: dict[tuple[Any, ...], SpectrumConfig] = {}
    for config in configs:
        sizes = (getattr(config.adapter, name) for name in SIZES)
        first.setdefault((config.adapter.method, *sizes), config)
    return list(first.values())


def shared_config(configs: Sequence[SpectrumConfig]) -> dict[str, Any]:
    """What all cells of a folder share: a sweep may grow along its axes, and along nothing else.

    Raises:
        InputError: what the task refuses; it is loaded for the hash of its features.
    """
    return {**_fixed(configs), "features": feature_hashes(configs)}


def sweep_config(configs: Sequence[SpectrumConfig]) -> dict[str, Any]:
    """The configuration of the record: what is shared, and the values along every axis."""
    axes = {name: list(dict.fromkeys(config.get(name) for config in configs)) for name in AXES}
    return {**shared_config(configs), "axes": axes}


def as_sweep(record: Record) -> Record:
    """A record of spectra, named as what made it."""
    return replace(record, command="sweep")


def _fixed(configs: Sequence[SpectrumConfig]) -> dict[str, Any]:
    return {name: value for name, value in configs[0].to_dict().items() if name not in AXES}
