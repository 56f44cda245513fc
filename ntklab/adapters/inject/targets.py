"""Which layers of a model get an adapter: peft's words for targets, and slices of layers."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard, cast

import torch
from torch import Tensor, nn

from ntklab.adapters.adapter import Adapter
from ntklab.adapters.base_layer import is_conv1d, layer_sizes
from ntklab.errors import InputError, unknown

ALL_LINEAR = "all-linear"

Layers = str | int | slice | Sequence[int]

_SLICE = re.compile(r"(-?\d+)?:(-?\d+)?(?::(-?\d+))?")
_PLAIN_DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
_Places = dict[str, tuple[nn.Module, tuple[str, ...]]]


@dataclass(frozen=True)
class Target:
    """A linear layer that gets an adapter.

    Attributes:
        name: its dotted name; of a layer that stands in several places, the first.
        places: all its dotted names.
        layer: the module, nn.Linear or transformers' Conv1D.
        index: its layer, the position in the list of blocks that it stands in; None outside.
    """

    name: str
    places: tuple[str, ...]
    layer: nn.Linear
    index: int | None

    @property
    def in_features(self) -> int:
        """d."""
        return layer_sizes(self.layer)[0]

    @property
    def out_features(self) -> int:
        """C."""
        return layer_sizes(self.layer)[1]


def select_targets(
    model: nn.Module, target_modules: str | Iterable[str], layers: Layers | None = None
) -> list[Target]:
    """The linear layers that the words name, in the model's order.

    Args:
        model: any module.
        target_modules: as peft reads it: a list of names, each a whole dotted name or its end
            (`q_proj` is every `….q_proj`); one text is a regular expression for whole names,
            unless it is a plain name; `all-linear` is every linear layer but the output layer of
            a language model.
        layers: which blocks: `-6:` (the last six), `0,2,5`, `3`, a number, a slice or numbers.
            Blocks are counted in the list that a target stands in (`h.3.attn` is in block 3).

    Raises:
        InputError: no such target, a target that is no linear layer, quantized weights, a layer
            whose weights its parent reads without a call, layers out of range.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> [target.name for target in select_targets(model, ["2"])]
        ['2']
        >>> [target.name for target in select_targets(model, "all-linear")]
        ['0', '2']
    """
    places = _places(model)
    if isinstance(target_modules, str) and target_modules == ALL_LINEAR:
        chosen = _all_linear(model, places)
    else:
        chosen = _named(places, target_modules)
    for name in chosen:
        _check_layer(model, name, *places[name])
    targets = [
        Target(n, places[n][1], cast(nn.Linear, places[n][0]), block_of(model, n)) for n in chosen
    ]
    return targets if layers is None else _in_layers(model, targets, layers)


def block_of(model: nn.Module, name: str) -> int | None:
    """The position of a module in the outermost `nn.ModuleList` around it, or None.

    >>> block_of(nn.ModuleDict({"h": nn.ModuleList([nn.Linear(2, 2)])}), "h.0")
    0
    """
    place = _list_around(model, name)
    return None if place is None else place[1]


def _places(model: nn.Module) -> _Places:
    """Every module outside adapters by its first name, with all its names."""
    names: dict[nn.Module, list[str]] = {}
    inside: set[str] = set()
    for name, module in model.named_modules(remove_duplicate=False):
        if name and not any(name.startswith(prefix) for prefix in inside):
            names.setdefault(module, []).append(name)
        if isinstance(module, Adapter):
            inside.add(f"{name}.")
    return {places[0]: (module, tuple(places)) for module, places in names.items()}


def _all_linear(model: nn.Module, places: _Places) -> list[str]:
    output = getattr(model, "get_output_embeddings", lambda: None)()
    chosen = [
        name
        for name, (module, all_names) in places.items()
        if is_linear(module) and module is not output and _reader(model, all_names) is None
    ]
    if not chosen:
        raise InputError(f"{type(model).__name__} has no linear layer beside its output layer.")
    return chosen


def _named(places: _Places, words: str | Iterable[str]) -> list[str]:
    if isinstance(words, str) and not _matching(places, re.escape(words)):
        return _by_pattern(places, words)
    wanted = [words] if isinstance(words, str) else list(words)
    if not wanted:
        raise InputError("target_modules is empty: name the layers that get an adapter.")
    matches = {word: set(_matching(places, re.escape(word))) for word in wanted}
    for word, names in matches.items():
        if not names:
            raise unknown("target", word, _last_names(places))
    return [name for name in places if any(name in names for names in matches.values())]


def _by_pattern(places: _Places, words: str) -> list[str]:
    """The linear layers whose whole name a regular expression matches."""
    try:
        pattern = re.compile(words)
    except re.error as error:
        raise InputError(
            f"target_modules = {words!r} is no regular expression ({error}): give one, or a list "
            "of names."
        ) from error
    chosen = [n for n, (_, names) in places.items() if any(map(pattern.fullmatch, names))]
    if not chosen:
        raise unknown("target", words, _last_names(places))
    # An expression such as ".*attn.*" also matches the modules around the layers.
    return [n for n in chosen if is_linear(places[n][0])] or chosen


def _matching(places: _Places, escaped: str) -> list[str]:
    """Modules of that whole name, or whose name ends in it."""
    pattern = re.compile(rf"(?:.*\.)?{escaped}")
    return [name for name, (_, names) in places.items() if any(map(pattern.fullmatch, names))]


def _last_names(places: _Places) -> set[str]:
    linear = {name.rpartition(".")[2] for name, (module, _) in places.items() if is_linear(module)}
    return linear or set(places)


def is_linear(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether an adapter can stand on the module; Conv1D counts as the linear layer that it is."""
    return isinstance(module, nn.Linear) or is_conv1d(module)


def _check_layer(model: nn.Module, name: str, module: nn.Module, places: Sequence[str]) -> None:
    if isinstance(module, Adapter):
        raise InputError(f"target '{name}' holds an adapter already: remove() it first.")
    if not is_linear(module):
        raise InputError(
            f"target '{name}' is {type(module).__name__}, no linear layer: adapters replace "
            "nn.Linear and transformers' Conv1D."
        )
    weight = module.weight
    if isinstance(weight, nn.parameter.UninitializedParameter):
        raise InputError(f"target '{name}' has no size yet: run the model once first.")
    if type(weight) not in (nn.Parameter, Tensor) or weight.dtype not in _PLAIN_DTYPES:
        held = weight.dtype if isinstance(weight, Tensor) else type(weight).__name__
        raise InputError(
            f"target '{name}' has quantized weights ({held} in {type(module).__name__}): load the "
            "model in float32 or bfloat16."
        )
    if (reader := _reader(model, places)) is not None:
        raise InputError(
            f"target '{name}' stands in torch's {reader}, which reads the weight itself and does "
            "not call the layer: an adapter there would change nothing."
        )


def _reader(model: nn.Module, places: Sequence[str]) -> str | None:
    """The kind of a module around a layer that multiplies by the layer's weight itself, or None."""
    readers = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
    for place in places:
        parts = place.split(".")
        for end in range(1, len(parts)):
            parent = model.get_submodule(".".join(parts[:end]))
            if isinstance(parent, readers):
                return type(parent).__name__
    return None


def _in_layers(model: nn.Module, targets: list[Target], layers: Layers) -> list[Target]:
    lists = {t.name: _list_around(model, t.name) for t in targets}
    counts = sorted({place[2] for place in lists.values() if place is not None})
    if not counts:
        raise InputError(
            f"layers = {layers!r}, but no target stands in a numbered block: leave layers out."
        )
    wanted = {count: set(_positions(layers, count)) for count in counts}
    chosen = [
        target
        for target in targets
        if (place := lists[target.name]) is not None and place[1] in wanted[place[2]]
    ]
    if not chosen:
        raise InputError(f"layers = {layers!r} holds none of the targets: choose other layers.")
    return chosen


def _list_around(model: nn.Module, name: str) -> tuple[str, int, int] | None:
    """Name of the outermost module list around a module, the position in it, and its length."""
    module, parts = model, name.split(".")
    for depth, part in enumerate(parts):
        if isinstance(module, nn.ModuleList):
            return ".".join(parts[:depth]), int(part), len(module)
        module = module.get_submodule(part)
    return None


def _positions(layers: Layers, count: int) -> Iterator[int]:
    """The blocks that `layers` names among `count`, counted from 0.

    >>> list(_positions("-2:", 6)), list(_positions("0,-1", 6))
    ([4, 5], [0, 5])
    """
    if isinstance(layers, str):
        for piece in layers.replace(" ", "").split(","):
            if match := _SLICE.fullmatch(piece):
                start, stop, step = (None if g is None else int(g) for g in match.groups())
                yield from _sliced(slice(start, stop, step), count, layers)
            elif re.fullmatch(r"-?\d+", piece):
                yield _position(int(piece), count, layers)
            else:
                raise InputError(
                    f"layers = {layers!r} means no layers: write a number, numbers with commas, or "
                    "a slice such as '-6:'."
                )
    elif isinstance(layers, slice):
        yield from _sliced(layers, count, layers)
    else:
        numbers = [layers] if isinstance(layers, int) else layers
        yield from (_position(number, count, layers) for number in numbers)


def _sliced(part: slice, count: int, layers: Layers) -> range:
    ends = [end for end in (part.start, part.stop) if end is not None]
    chosen = range(count)[part] if part.step != 0 else range(0)
    if any(not -count <= end <= count for end in ends) or not chosen:
        raise InputError(
            f"layers = {layers!r} is out of range: the model has {count} layers, 0 to {count - 1}."
        )
    return chosen


def _position(number: int, count: int, layers: Layers) -> int:
    if not -count <= number < count:
        raise InputError(
            f"layers = {layers!r} is out of range: the model has {count} layers, 0 to {count - 1}."
        )
    return number % count
