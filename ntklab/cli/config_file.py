"""`--config FILE.toml`: options from a file, below those of the command line."""

from pathlib import Path
from typing import Any

import typer

from ntklab.errors import InputError, unknown

# These decide what else is read, or are questions rather than settings.
_NOT_IN_FILES = ("config", "help", "debug")


def read_config_file(ctx: typer.Context, path: Path | None) -> Path | None:
    """Take the values of a TOML file as the defaults of this command.

    Keys are the options' names, with dashes or underscores; lists may be TOML arrays.

    Raises:
        InputError: if the file is missing or no TOML, or for an unknown key (nearest named).
    """
    if path is not None and not ctx.resilient_parsing:
        known = {_word(parameter): parameter for parameter in ctx.command.params}
        for name in _NOT_IN_FILES:
            known.pop(name, None)
        defaults = dict(ctx.default_map or {})
        for key, value in _read(path).items():
            word = key.replace("_", "-")
            if word not in known:
                raise unknown(f"key of {path}", key, known)
            multiple = getattr(known[word], "multiple", False)
            defaults[known[word].name] = _as_given(value, multiple=multiple)
        ctx.default_map = defaults
    return path


def _word(parameter: Any) -> str:
    """The long name of an option, without its dashes."""
    longest: str = max(parameter.opts, key=len)
    return longest.removeprefix("--")


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"--config {path} does not exist: name a TOML file.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"--config {path} cannot be read as TOML: {error}.") from error


def _as_given(value: Any, *, multiple: bool) -> Any:
    """The value as the command line would give it: 1,2,2 for an array, [x] for a single word."""
    if multiple:
        return value if isinstance(value, list) else [value]
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return value
