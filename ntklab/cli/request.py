"""From the options of a command to the configurations of its cells."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ntklab.cli.options import CONDITION_NAMES
from ntklab.cli.parse import parse_numbers, parse_seeds
from ntklab.errors import InputError, unknown

if TYPE_CHECKING:
    from ntklab.sweeps import Preview, SpectrumConfig

_SAME = (
    *("task", "images", "backbone", "data_seed", "samples", "preset", "width", "rank", "budget"),
    *("activation", "scale", "dtype", "centred", "engine", "per_core"),
)
# What differs between the cells of one run, and what each method has of its own.
_VARYING = ("method", "seed", "data_condition")
_SIZES = ("width", "rank", "in_dims", "out_dims", "tt_ranks", "budget", "activation")


def spectrum_configs(options: Mapping[str, Any]) -> list["SpectrumConfig"]:
    """A cell for every data condition, method and seed that the options name, in that order.

    A size that only some of several methods use goes to those; one that none uses is refused.

    Raises:
        InputError: for words and numbers that mean nothing.
    """
    from ntklab.jacobian import parse_memory
    from ntklab.sweeps import SpectrumConfig, methods_named, resolve_device
    from ntklab.sweeps.weighted import WeightedConfig

    kind = WeightedConfig if options.get("weighted") else SpectrumConfig
    methods = methods_named(options["method"])
    given = {name: options[name] for name in _SAME if name in options}
    given |= {name: _text(options.get(name)) for name in ("data", "backbone_weights")}
    for name in ("in-dims", "out-dims", "tt-ranks"):
        key = name.replace("-", "_")
        given[key] = parse_numbers(name, options.get(key))
    if given.get("task") == "wikitext":
        given |= _language_sources(given)
    memory = options.get("memory")
    given["memory"] = None if memory is None else parse_memory(memory)
    given["device"] = resolve_device(options.get("device", "auto"))
    seeds = parse_seeds(options.get("seeds", "0"))
    conditions = _conditions(options.get("data_condition", "noisy"))
    _refuse_idle(methods, given)
    configs = []
    for condition in conditions:
        for method in methods:
            for seed in seeds:
                config = kind(method=method, seed=seed, data_condition=condition, **given)
                configs.append(config if len(methods) == 1 else config.for_method(method))
    return list(dict.fromkeys(configs))  # "both" conditions of a task that has none are one


def run_config(
    configs: Sequence["SpectrumConfig"], previews: Sequence["Preview"]
) -> dict[str, Any]:
    """The configuration of a whole run, with what was resolved: shapes, and the features' hash."""
    from ntklab.sweeps import feature_hashes

    resolved = configs[0].to_dict().items()
    common = {name: value for name, value in resolved if name not in (*_VARYING, *_SIZES)}
    shapes = {
        one.method: {"width": one.width, "parameters": one.parameters, **one.shapes}
        for one in previews
    }
    sizes = {
        config.method: {k: v for k, v in config.to_dict().items() if k in _SIZES}
        for config in configs
    }
    return {
        **common,
        "methods": list(dict.fromkeys(config.method for config in configs)),
        "seeds": list(dict.fromkeys(config.seed for config in configs)),
        "data_conditions": list(dict.fromkeys(config.data_condition for config in configs)),
        "features": feature_hashes(configs),
        "sizes": sizes,
        "shapes": shapes,
    }


def _language_sources(given: Mapping[str, Any]) -> dict[str, Any]:
    """Model and text of the task wikitext, where nobody names them."""
    from ntklab.tasks.wikitext import default_model, default_text

    return {
        "backbone": given.get("backbone") or default_model(),
        "data": given.get("data") or _text(default_text()),
    }


def _refuse_idle(methods: Sequence[str], given: Mapping[str, Any]) -> None:
    from ntklab.adapters import Sizes, method_named

    used = set().union(*(method_named(method).uses for method in methods))
    for name in Sizes.__dataclass_fields__:
        if given.get(name) is not None and name not in used:
            option = name.replace("_", "-")
            raise InputError(f"--{option} has no meaning for {', '.join(methods)}: leave it out.")


def _conditions(word: str) -> tuple[str, ...]:
    if word not in CONDITION_NAMES:
        raise unknown("data condition", word, CONDITION_NAMES)
    return ("clean", "noisy") if word == "both" else (word,)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
