"""Registries: names for what is loaded when it is first asked for."""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Generic, TypeVar

from ntklab.errors import unknown

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Where a thing is imported from, and what people read.

    Attributes:
        module: e.g. `ntklab.adapters.lora`.
        attribute: its name there.
        label: what figures call it; its registered name if empty.
    """

    module: str
    attribute: str
    label: str = ""


class Registry(MutableMapping[str, T], Generic[T]):
    """Things by name. A thing is given itself, or as the place that it is imported from.

    Names can be listed, completed and checked before anything heavy is loaded.

    Args:
        kind: what the things are, for the sentence about an unknown name.
        places: where they are, by name.

    Example:
        >>> counters = Registry("counter", {"plain": Place("collections", "Counter")})
        >>> list(counters), counters["plain"].__name__, counters.label("plain")
        (['plain'], 'Counter', 'plain')
        >>> counters.named("plane")
        Traceback (most recent call last):
        ntklab.errors.InputError: unknown counter 'plane': did you mean 'plain'? Known: plain.
    """

    def __init__(self, kind: str, places: Mapping[str, Place]) -> None:
        self.kind = kind
        self._places = dict(places)
        self._things: dict[str, T] = {}

    def named(self, name: str) -> T:
        """The thing of that name.

        Raises:
            InputError: for an unknown name, with the nearest one.
        """
        if name not in self:
            raise unknown(self.kind, name, self)
        return self[name]

    def label(self, name: str) -> str:
        """Its name in figures."""
        place = self._places.get(name)
        return place.label if place is not None and place.label else name

    def __getitem__(self, name: str) -> T:
        if name not in self._things:
            place = self._places[name]
            self._things[name] = getattr(import_module(place.module), place.attribute)
        return self._things[name]

    def __setitem__(self, name: str, thing: T) -> None:
        self._things[name] = thing

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._things.pop(name, None)
        self._places.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._places or name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._places, *self._things)))

    def __len__(self) -> int:
        return len(self._places.keys() | self._things.keys())
