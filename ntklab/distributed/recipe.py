"""Recipes, which travel to a worker: the name of a function and plain words, no pickled module."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from functools import cached_property
from importlib import import_module
from threading import RLock
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from ntklab.errors import InputError

# A process works on one run at a time; the model before may still be asked for.
_MOST_BUILT = 2
_built: OrderedDict[str, Any] = OrderedDict()

#: Held by whoever computes: models and torch's random state are one a process.
ONE_AT_A_TIME = RLock()


@dataclass(frozen=True)
class Packed:
    """A tensor as the bytes of a safetensors file, with the kind of device it belongs on.

    Example:
        >>> Packed.of(torch.ones(2)).build()
        tensor([1., 1.])
    """

    data: bytes = field(repr=False)
    device: str = "cpu"

    @staticmethod
    def of(tensor: Tensor) -> "Packed":
        """The tensor without its gradient; of several GPUs a worker takes the first it sees."""
        plain = tensor.detach().cpu().contiguous()
        return Packed(save({"tensor": plain}), tensor.device.type)

    def build(self) -> Tensor:
        """The tensor again."""
        return load(self.data)["tensor"].to(self.device)


@dataclass(frozen=True)
class Recipe:
    """An object that any process can make: a function by its name, and what it is called with.

    Attributes:
        builder: `package.module:function`, to be imported by the workers too.
        arguments: by keyword: numbers, words, dtypes, frozen dataclasses of these, tensors
            (`packed`), other recipes, which are built first, and lists and mappings of all these.

    Raises:
        InputError: a builder that is no such name, or an argument that only pickle could carry.

    Example:
        >>> recipe = Recipe("torch.nn:Linear", {"in_features": 3, "out_features": 2})
        >>> recipe.build()
        Linear(in_features=3, out_features=2, bias=True)
    """

    builder: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        module, _, name = self.builder.partition(":")
        if not (module and name):
            raise InputError(
                f"the builder '{self.builder}' is no function's name: write it as "
                "package.module:function."
            )
        for path, value in _leaves(self.arguments):
            if isinstance(value, (nn.Module, Tensor)) or callable(value):
                raise InputError(
                    f"the recipe's argument {path} is a {type(value).__name__}, which would travel "
                    "as a pickle: give a Recipe for it, or `packed` tensors."
                )

    @cached_property
    def fingerprint(self) -> str:
        """64 hexadecimal digits of everything that it says."""
        digest = hashlib.sha256(self.builder.encode())
        for path, value in _leaves(self.arguments):
            digest.update(f"\0{path}\0".encode())
            digest.update(_bytes_of(value))
        return digest.hexdigest()

    def build(self) -> Any:
        """Call the function.

        Raises:
            InputError: it cannot be imported here.
        """
        return _function(self.builder)(**_made(self.arguments))

    def built(self) -> Any:
        """The result of `build`, made once in this process."""
        with ONE_AT_A_TIME:
            if self.fingerprint not in _built:
                _built[self.fingerprint] = self.build()
                while len(_built) > _MOST_BUILT:
                    _built.popitem(last=False)
            _built.move_to_end(self.fingerprint)
            return _built[self.fingerprint]


def packed(value: Any) -> Any:
    """The same value with every tensor in it `Packed`.

    Example:
        >>> packed({"x": torch.ones(1), "scale": 2})["scale"]
        2
    """
    if isinstance(value, Tensor):
        return Packed.of(value)
    if isinstance(value, Mapping):
        return {key: packed(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [packed(one) for one in value]
    return value


def with_state(recipe: Recipe, module: nn.Module) -> Recipe:
    """A recipe that also sets all parameters and buffers to those of a module.

    Args:
        recipe: of a module with the same names and shapes.
        module: whose numbers travel, as safetensors.

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> plain = Recipe("torch.nn:Linear", {"in_features": 3, "out_features": 2})
        >>> torch.equal(with_state(plain, layer).build().weight, layer.weight)
        True
    """
    arguments = {
        "module": recipe,
        "state": packed(dict(module.state_dict())),
        "trained": [name for name, p in module.named_parameters() if p.requires_grad],
        "training": module.training,
    }
    return Recipe("ntklab.distributed.recipe:load_state", arguments)


def load_state(
    module: nn.Module, state: Mapping[str, Tensor], trained: list[str], training: bool
) -> nn.Module:
    """The module with these numbers, on their device; what `with_state` asks a worker for."""
    for tensor in state.values():
        module = module.to(tensor.device)
        break
    module.load_state_dict(state)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in trained)
    return module.train(training)


def _made(value: Any) -> Any:
    if isinstance(value, (Recipe, Packed)):
        return value.build()
    if isinstance(value, Mapping):
        return {key: _made(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_made(one) for one in value)
    return value


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in an argument that is neither a list nor a mapping, with where it stands."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _leaves(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for place, one in enumerate(value):
            yield from _leaves(one, f"{path}[{place}]")
    else:
        yield path, value


def _bytes_of(value: Any) -> bytes:
    if isinstance(value, Packed):
        return value.data
    if isinstance(value, Recipe):
        return value.fingerprint.encode()
    if value is None or is_dataclass(value) or isinstance(value, (str, int, float, torch.dtype)):
        return repr(value).encode()
    raise InputError(
        f"a recipe cannot hold a {type(value).__name__}: give numbers, words, `packed` tensors or "
        "other recipes."
    )


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    try:
        function: Callable[..., Any] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"the builder '{name}' is not here ({error}): install its package, or put its file on "
            "the path, on every machine that works."
        ) from error
    return function
