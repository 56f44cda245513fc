"""Configurations: immutable values whose fields say, once, what a person needs to set them.

A configuration is a frozen dataclass. Its fields are settings, or further configurations that it
holds (the data, the adapter). Seen flat, all settings stand side by side under their keys: that is
what a record keeps, what names a cell on disk, and what a command line asks for.
"""

import math
from collections.abc import Collection
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, ClassVar, Self, get_type_hints

from ntklab.errors import InputError, unknown
from ntklab.host_memory import parse_memory

#: Seeds and sizes are words of 64 bits, one of them for the sign.
MOST_INTEGER = 2**63 - 1


@dataclass(frozen=True)
class Several:
    """How an option is written that gives a field several values: an axis of a grid.

    Attributes:
        usage: names and what stands for the value, e.g. `--seeds -s SEEDS`.
        help: a sentence.
        grammar: how the text is read: `seeds`, `powers`, `numbers`, `lists` or `words`.
        every: the word that stands for all known words, e.g. `all`.
        repeated: whether the option is given once a value.
    """

    usage: str
    help: str
    grammar: str
    every: str = ""
    repeated: bool = False


@dataclass(frozen=True)
class Setting:
    """The words that a person needs to set a field.

    Attributes:
        help: a sentence.
        usage: letter and what stands for the value in a line of help, e.g. `-r R`.
        key: its name where all settings stand side by side; the field's own if empty.
        words: the values that it may take; any if empty.
        hints: values that a shell completes, among others.
        beginnings: of further values, which are looked at where they are used (`peft:`).
        least: the smallest number.
        grammar: how its text is read where its type does not say so: `bytes` (also "4GiB" from
            Python), `device`, `path`.
        several: its form as an axis of a grid.
        young: left out of `to_dict` at its default, since records are older than the field.
    """

    help: str
    usage: str = ""
    key: str = ""
    words: Collection[str] = ()
    hints: Collection[str] = ()
    beginnings: tuple[str, ...] = ()
    least: int | None = None
    grammar: str = ""
    several: Several | None = None
    young: bool = False


def setting(default: Any, help: str, usage: str = "", **more: Any) -> Any:
    """A field of a configuration with its words; see `Setting` for `more`.

    Example:
        >>> @dataclass(frozen=True)
        ... class Cut(Configuration):
        ...     rank: int = setting(1, "Rank of the cut.", "-r R", least=1)
        >>> Cut(rank=0)
        Traceback (most recent call last):
        ntklab.errors.InputError: rank = 0 must be at least 1.
    """
    return field(default=default, metadata={"setting": Setting(help, usage, **more)})


@dataclass(frozen=True)
class FlatField:
    """A setting of a configuration or of one that it holds.

    Attributes:
        key: its name in the flat view.
        path: the attributes that lead to it.
        type: its annotation.
        default: its default; `dataclasses.MISSING` if it must be given.
        setting: its words; None if it has none.
        heading: what the configuration that owns it is called in a list of options.
    """

    key: str
    path: tuple[str, ...]
    type: Any
    default: Any
    setting: Setting | None
    heading: str


class Configuration:
    """The flat view of a frozen dataclass of settings and configurations.

    Example:
        >>> @dataclass(frozen=True)
        ... class Source(Configuration):
        ...     seed: int = setting(0, "Seed of the data.", key="data_seed")
        >>> @dataclass(frozen=True)
        ... class Run(Configuration):
        ...     data: Source = field(default_factory=Source)
        ...     samples: int = setting(256, "Samples N.")
        >>> run = Run.of(samples=8, data_seed=3)
        >>> run
        Run(data=Source(seed=3), samples=8)
        >>> run.to_dict(), run.with_(data_seed=4).data.seed
        ({'data_seed': 3, 'samples': 8}, 4)
    """

    heading: ClassVar[str] = "Options"

    def __post_init__(self) -> None:
        for name, rule in _rules(_class_of(self)):
            if rule.grammar == "bytes" and isinstance(getattr(self, name), str):
                object.__setattr__(self, name, parse_memory(getattr(self, name)))
        self.check()

    def check(self) -> None:
        """Refuse unknown words, numbers too small, beyond 64 bits or not finite; None passes.

        Raises:
            InputError: naming the setting, its value and what was expected.
        """
        for name, rule in _rules(_class_of(self)):
            value, key = getattr(self, name), rule.key or name
            if value is None:
                continue
            if rule.words and value not in rule.words:
                raise unknown(key.replace("_", " "), str(value), rule.words)
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"{key} = {value} must be a finite number.")
            if isinstance(value, int) and abs(value) > MOST_INTEGER:
                raise InputError(f"{key} = {value} is beyond {MOST_INTEGER}: no word holds it.")
            if rule.least is not None and value < rule.least:
                raise InputError(f"{key} = {value} must be at least {rule.least}.")

    @classmethod
    def flat_fields(cls) -> dict[str, FlatField]:
        """Every setting by its key, those of held configurations in their place."""
        kind: Any = cls
        flat: dict[str, FlatField] = _flat_fields(kind)
        return flat

    @classmethod
    def of(cls, **flat: Any) -> Self:
        """The configuration with these settings, wherever they belong.

        Raises:
            TypeError: for a key that is no setting, or a setting that must be given.
            InputError: for a value that cannot work.
        """
        _refuse_strangers(cls, flat)
        own: dict[str, Any] = {}
        this: Any = cls
        for one, kind in _held(this):
            inner = {key: flat[key] for key in flat.keys() & kind.flat_fields().keys()}
            if one.default_factory is MISSING:
                own[one.name] = kind.of(**inner)
            elif inner:
                own[one.name] = one.default_factory().with_(**inner)
        return cls(**own, **_own(cls, flat))

    def with_(self, **flat: Any) -> Self:
        """The same configuration with some settings changed.

        Raises:
            TypeError: for a key that is no setting.
            InputError: for a value that cannot work.
        """
        _refuse_strangers(type(self), flat)
        changed = _own(type(self), flat)
        for one, kind in _held(_class_of(self)):
            inner = {key: flat[key] for key in flat.keys() & kind.flat_fields().keys()}
            if inner:
                changed[one.name] = getattr(self, one.name).with_(**inner)
        return replace(self, **changed)  # type: ignore[type-var]

    def resolved(self) -> Self:
        """The same configuration with what this machine decides where nothing is named."""
        held = {one.name: getattr(self, one.name) for one, _ in _held(_class_of(self))}
        new = {name: value.resolved() for name, value in held.items()}
        changed = {name: value for name, value in new.items() if value is not held[name]}
        return replace(self, **changed) if changed else self  # type: ignore[type-var]

    def get(self, key: str) -> Any:
        """The value of a setting by its key."""
        value: Any = self
        for name in self.flat_fields()[key].path:
            value = getattr(value, name)
        return value

    def to_dict(self) -> dict[str, Any]:
        """All settings by key, as JSON data; equal configurations give equal data."""
        flat = {key: self.get(key) for key in self.flat_fields()}
        return {key: _listed(value) for key, value in flat.items() if not self._is_young(key)}

    def _is_young(self, key: str) -> bool:
        entry = self.flat_fields()[key]
        return entry.setting is not None and entry.setting.young and self.get(key) == entry.default


def _class_of(value: Any) -> Any:
    """Its class, as what a cache may hold: mypy takes a class of dataclasses for unhashable."""
    return type(value)


@cache
def _held(cls: Any) -> list[tuple[Field[Any], type[Configuration]]]:
    """The fields that are configurations, with their classes."""
    kinds = [(one, _hints(cls)[one.name]) for one in fields(cls)]
    return [(one, kind) for one, kind in kinds if _is_configuration(kind)]


def _is_configuration(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Configuration) and is_dataclass(kind)


@cache
def _rules(cls: Any) -> list[tuple[str, Setting]]:
    """The names of a class's own settings, with their words."""
    rules = [(one.name, one.metadata.get("setting")) for one in fields(cls)]
    return [(name, rule) for name, rule in rules if rule is not None]


def _own(cls: Any, flat: dict[str, Any]) -> dict[str, Any]:
    """The settings of a class itself, by the names of its fields."""
    mine = cls.flat_fields()
    return {mine[key].path[0]: flat[key] for key in flat if len(mine[key].path) == 1}


def _refuse_strangers(cls: type[Configuration], flat: dict[str, Any]) -> None:
    strangers = sorted(flat.keys() - cls.flat_fields().keys())
    if strangers:
        raise TypeError(f"{cls.__name__} has no setting {', '.join(strangers)}")


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


@cache
def _flat_fields(cls: Any) -> dict[str, FlatField]:
    flat: dict[str, FlatField] = {}
    held = dict(_held(cls))
    for one in fields(cls):
        if one in held:
            for inner in held[one].flat_fields().values():
                flat[inner.key] = replace(inner, path=(one.name, *inner.path))
            continue
        rule = one.metadata.get("setting")
        key = (rule.key if rule else "") or one.name
        flat[key] = FlatField(
            key, (one.name,), _hints(cls)[one.name], one.default, rule, cls.heading
        )
    return flat


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple | list) else value
