"""Groups of options: a dataclass that commands take as one parameter.

    @dataclass(frozen=True, kw_only=True)
    class Adapter:
        width: Annotated[int | None, option("--width M", "Hidden width M.")] = None
        rank: Annotated[int | None, option("--rank -r R", "Rank of LoRA.")] = None

    def info(*, method: Methods = ["all"], adapter: Adapter) -> None: ...

`ntklab info` then has the options --method, --width and --rank, in this order. A group that differs
in one option is a subclass that says that field again; it stays in its place.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Any, get_args, get_type_hints

import typer

#: What a shell completes a value with, or a function that finds it when a shell asks.
Words = tuple[str, ...] | Callable[[], Iterable[str]]


def completing(words: Words) -> Callable[[str], list[str]]:
    """Completions for the beginning of a word.

    Example:
        >>> completing(("lora", "tera"))("l")
        ['lora']
    """

    def complete(incomplete: str) -> list[str]:
        known = words() if callable(words) else words
        return [word for word in known if word.startswith(incomplete)]

    return complete


def option(usage: str, help: str, *, words: Words = (), heading: str = "", **extra: Any) -> Any:
    """A typer option, said as its line of help says it.

    Args:
        usage: its names and, unless it is a flag, what stands for its value.
        help: a sentence.
        words: what the shell completes its value with.
        heading: under which the help lists it.
        extra: see `typer.Option`.

    Example:
        >>> made = option("--rank -r R", "Rank of LoRA.", min=1)
        >>> made.default, made.param_decls, made.metavar
        ('--rank', ('-r',), 'R')
    """
    names = [word for word in usage.split() if word.startswith("-")]
    metavar = " ".join(usage.split()[len(names) :]) or None
    completion = completing(words) if words else None
    return typer.Option(
        *names,
        metavar=metavar,
        help=help,
        autocompletion=completion,
        rich_help_panel=heading or None,
        **extra,
    )


def spelled_out(command: Callable[..., None], *everywhere: type) -> Callable[..., None]:
    """A command as typer reads it: its groups and settings replaced by their options.

    Only the signature changes. The command is called with an instance of each group, and
    `ctx.params` holds the options one by one.

    Args:
        command: a function whose parameters are options, `ctx`, groups, and settings of
            configurations (`ntklab.cli.convert.Settings`).
        everywhere: groups that come last in every command's options, and that none looks at.

    Raises:
        ValueError: if two options have one name.

    Example:
        >>> from ntklab.cli.options import Run
        >>> def info(*, samples: int = 256, run: Run) -> None:
        ...     print(samples, run.threads)
        >>> command = spelled_out(info)
        >>> list(inspect.signature(command).parameters)[:3]
        ['samples', 'threads', 'out']
        >>> command(samples=8, threads=2)
        8 2
    """
    groups: dict[str, type] = {}
    settings: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        asked = [m for m in get_args(parameter.annotation)[1:] if hasattr(m, "take")]
        if asked:
            settings[parameter.name] = asked[0]
            parameters += asked[0].options()
        elif isinstance(parameter.annotation, type) and is_dataclass(parameter.annotation):
            groups[parameter.name] = parameter.annotation
            parameters += _options_of(parameter.annotation)
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    for group in everywhere:
        parameters += _options_of(group)

    @wraps(command)
    def flat(**values: Any) -> None:
        taken = {name: _take(group, values) for name, group in groups.items()}
        taken |= {name: setting.take(values) for name, setting in settings.items()}
        for group in everywhere:
            _take(group, values)
        command(**values, **taken)

    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def _options_of(group: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=hints[field.name],
        )


def _take(group: Any, values: dict[str, Any]) -> Any:
    """An instance of the group from the values that are its own; they are taken out."""
    return group(
        **{field.name: values.pop(field.name) for field in fields(group) if field.name in values}
    )
