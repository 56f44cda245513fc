"""From settings of configurations to options, and from the text of options to values.

    def spectrum(
        grid: Annotated[Grid[SpectrumConfig], Settings(SpectrumConfig, axes=("method", "seed"))],
        *, compare: Compare = False,
    ) -> None: ...

`ntklab spectrum` then has an option for every setting of a `SpectrumConfig`, under the heading of
the configuration that owns it, and the command is called with a `Grid`: an axis takes several
values.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args

from ntklab.cli.groups import Words, option
from ntklab.cli.parse import parse_numbers, parse_rates, parse_seeds, parse_widths, parse_words
from ntklab.configuration import Configuration, FlatField, Setting, Several
from ntklab.experiments.grid import Grid


@dataclass(frozen=True)
class Settings:
    """How the settings of a configuration become the options of a command.

    Attributes:
        kind: the class of the configuration.
        axes: keys that take several values, the slowest first.
        defaults: text where the command line says nothing, by key; None for no default.
        without: keys that are no options of this command.
        words: further words that a setting takes here, by key.
    """

    kind: type[Configuration]
    axes: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def keys(self) -> set[str]:
        """The keys of these settings."""
        return set(self._settings())

    def options(self) -> Iterator[inspect.Parameter]:
        """A keyword parameter for each setting, as typer reads it."""
        for key, (one, setting) in self._settings().items():
            several = setting.several if key in self.axes else None
            default = self.defaults.get(key, None if one.default is MISSING else one.default)
            if several is None:
                kind, made = self._single(key, one, setting)
            else:
                kind, made = self._axis(key, one, several)
                default = _axis_default(default, several, given=key in self.defaults)
            yield inspect.Parameter(
                key,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=Annotated[kind, made],
            )

    def take(self, options: dict[str, Any]) -> Grid[Any]:
        """The grid of what these options say; they are taken out.

        Raises:
            InputError: for text that means nothing.
        """
        given: dict[str, Any] = {}
        axes: dict[str, Sequence[Any]] = {}
        for key, (one, setting) in self._settings().items():
            text = options.pop(key, None)
            if text is None or text == []:
                continue
            if key in self.axes and setting.several is not None:
                axes[key] = self._read_axis(key, text, setting.several)
            else:
                given[key] = _read(key, text, one, setting)
        return Grid(self.kind, given, {key: axes[key] for key in self.axes if key in axes})

    def _settings(self) -> dict[str, tuple[FlatField, Setting]]:
        flat = self.kind.flat_fields()
        names = [key for key in flat if key not in self.without]
        return {k: (flat[k], flat[k].setting) for k in names if flat[k].setting is not None}  # type: ignore[misc]

    def _known(self, key: str) -> list[str]:
        """The words that a setting may take, as they are now: a registry may grow."""
        setting = self._settings()[key][1]
        words = (*setting.words, *setting.hints, *self.words.get(key, ()))
        return list(dict.fromkeys(words))

    def _completion(self, key: str, *also: str) -> Words:
        return (lambda: [*self._known(key), *also]) if self._known(key) else ()

    def _single(self, key: str, entry: FlatField, setting: Setting) -> tuple[Any, Any]:
        usage = f"--{key.replace('_', '-')} {setting.usage}"
        kind = _typed(entry.type, setting)
        made = option(usage, setting.help, words=self._completion(key), heading=entry.heading)
        return kind, made

    def _axis(self, key: str, entry: FlatField, several: Several) -> tuple[Any, Any]:
        also = (several.every,) if several.every else ()
        kind = list[str] if several.repeated else str | None
        more = f" Also {', '.join(self.words[key])}." if key in self.words else ""
        made = option(
            several.usage,
            several.help + more,
            words=self._completion(key, *also),
            heading=entry.heading,
        )
        return kind, made

    def _read_axis(self, key: str, text: Any, several: Several) -> Sequence[Any]:
        name = key.replace("_", "-")
        if several.grammar == "seeds":
            return parse_seeds(text)
        if several.grammar == "powers":
            return parse_widths(text, name) or ()
        if several.grammar == "numbers":
            return parse_numbers(name, text) or ()
        if several.grammar == "lists":
            return [parse_numbers(name, one) for one in text]
        words = [text] if isinstance(text, str) else text
        known = self._known(key)
        words = [part for text in words for part in text.split(",")]
        words = [one for w in words for one in (known if w.strip() == several.every else [w])]
        others = self._settings()[key][1].beginnings
        return parse_words(key.replace("_", " "), words, known, beginnings=others)


def _axis_default(default: Any, several: Several, *, given: bool) -> Any:
    """The default of an axis, as text."""
    if given:
        return default
    if several.repeated:
        return [several.every] if several.every else []
    return None if default is None else str(default)


def _typed(kind: Any, setting: Setting) -> Any:
    """The type that typer turns the text into; the rest is read by `_read`."""
    optional = isinstance(kind, UnionType)
    plain = (
        next((part for part in get_args(kind) if part is not type(None)), kind)
        if optional
        else kind
    )
    if setting.grammar == "path":
        return Path | None
    if plain in (int, float, str) and setting.grammar != "bytes":
        return plain | None
    return bool if plain is bool else str | None


def _read(key: str, text: Any, entry: FlatField, setting: Setting) -> Any:
    """The value of one setting from its text."""
    if setting.grammar == "path":
        return str(text)
    if setting.grammar == "device":
        from ntklab.compute import check_device

        check_device(text)
    if isinstance(text, str) and "tuple[int" in str(entry.type):
        return parse_numbers(key.replace("_", "-"), text)
    if isinstance(text, str) and "tuple[float" in str(entry.type):
        return parse_rates(text)
    return text
