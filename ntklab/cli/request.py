"""From the options of a command to the configurations of its cells."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ntklab.adapters.spec import AdapterSpec
from ntklab.cli.options import BOTH, CONDITION_NAMES
from ntklab.cli.parse import parse_numbers, parse_seeds
from ntklab.errors import InputError, unknown

if TYPE_CHECKING:
    from ntklab.configuration import Configuration
    from ntklab.sweeps import Preview, SpectrumConfig

# What differs between the cells of one run, and what each method has of its own.
_VARYING = ("method", "seed", "data_condition")
SIZES = ("width", "rank", "in_dims", "out_dims", "tt_ranks", "budget", "activation")


def given_fields(kind: type["Configuration"], options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a configuration that options of the same name give, ready for it.

    An option that is None leaves a field its default. What a command reads in a way of its own
    (several methods, a word for two conditions, an amount of memory) it puts in the place of what
    stands here.

    Raises:
        InputError: for sizes that are no lists of numbers, and for a device that is not there.
    """
    from ntklab.compute import resolve_device

    given = {name: options[name] for name in kind.flat_fields() if options.get(name) is not None}
    for name in ("in_dims", "out_dims", "tt_ranks"):
        if name in given:
            given[name] = parse_numbers(name.replace("_", "-"), given[name])
    for name in ("data", "backbone_weights"):  # a configuration is JSON data: no paths
        if name in given:
            given[name] = str(given[name])
    if "device" in given:
        given["device"] = resolve_device(given["device"])
    return given


def refuse_idle(
    methods: Sequence[str],
    options: Mapping[str, Any],
    baselines: Mapping[str, frozenset[str]] = {},
) -> None:
    """Refuse a size that none of the methods uses; one that only some use goes to those.

    Raises:
        InputError: naming the size.
    """
    used = set().union(*(AdapterSpec(method).uses(baselines) for method in methods))
    for name in SIZES:
        if options.get(name) is not None and name not in used:
            option = name.replace("_", "-")
            raise InputError(f"--{option} has no meaning for {', '.join(methods)}: leave it out.")


def spectrum_configs(options: Mapping[str, Any]) -> list["SpectrumConfig"]:
    """A cell for every data condition, method and seed that the options name, in that order.

    A size that only some of several methods use goes to those; one that none uses is refused.

    Raises:
        InputError: for words and numbers that mean nothing.
    """
    from ntklab.jacobians import parse_memory
    from ntklab.sweeps import SpectrumConfig, methods_named

    methods = methods_named(options["method"])
    given = given_fields(SpectrumConfig, {"device": "auto", **options})
    if "memory" in given:
        given["memory"] = parse_memory(given["memory"])
    seeds = parse_seeds(options.get("seeds", "0"))
    conditions = _conditions(options.get("data_condition", "noisy"))
    refuse_idle(methods, options)
    configs = []
    for condition in conditions:
        for method in methods:
            for seed in seeds:
                own = {"method": method, "seed": seed, "data_condition": condition}
                config = SpectrumConfig.of(**given | own)
                config = replace(config, data=config.data.resolved())
                configs.append(config if len(methods) == 1 else config.for_method(method))
    return list(dict.fromkeys(configs))  # "both" conditions of a task that has none are one


def run_config(
    configs: Sequence["SpectrumConfig"], previews: Sequence["Preview"]
) -> dict[str, Any]:
    """The configuration of a whole run, with what was resolved: shapes, and the features' hash."""
    from ntklab.sweeps import feature_hashes

    resolved = configs[0].to_dict().items()
    common = {name: value for name, value in resolved if name not in (*_VARYING, *SIZES)}
    shapes = {
        one.method: {"width": one.width, "parameters": one.parameters, **one.shapes}
        for one in previews
    }
    sizes = {
        config.adapter.method: {k: v for k, v in config.to_dict().items() if k in SIZES}
        for config in configs
    }
    return {
        **common,
        "methods": list(dict.fromkeys(config.adapter.method for config in configs)),
        "seeds": list(dict.fromkeys(config.compute.seed for config in configs)),
        "data_conditions": list(dict.fromkeys(config.data.condition for config in configs)),
        "features": feature_hashes(configs),
        "sizes": sizes,
        "shapes": shapes,
    }


def _conditions(word: str) -> tuple[str, ...]:
    if word not in (*CONDITION_NAMES, BOTH):
        raise unknown("data condition", word, (*CONDITION_NAMES, BOTH))
    return ("clean", "noisy") if word == BOTH else (word,)
