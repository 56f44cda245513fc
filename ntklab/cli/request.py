"""From options of the commands that train to fields of configurations."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ntklab.adapters.spec import AdapterSpec
from ntklab.cli.parse import parse_numbers
from ntklab.errors import InputError

if TYPE_CHECKING:
    from ntklab.configuration import Configuration

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
