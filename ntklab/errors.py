"""The errors that ntklab raises for people: one clear sentence each."""

import difflib
import sys
import warnings
from collections.abc import Iterable

# A large model has thousands of parameter names; a sentence has not.
_MOST_NAMES = 24


class InputError(ValueError):
    """Bad input: the sentence names the value, what was expected and what to do.

    The command line prints the sentence without a traceback and exits with code 2.
    """


class MissingExtraError(InputError, ImportError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f'{feature} needs the optional dependencies of "{extra}", which are not installed: '
            f'run  pip install "ntklab[{extra}]".'
        )


def unknown(kind: str, word: str, known: Iterable[str]) -> InputError:
    """An error for a name that is not in a list, with the nearest match if there is one.

    >>> str(unknown("method", "tensorgide", ["lora", "tensorguide"]))
    "unknown method 'tensorgide': did you mean 'tensorguide'? Known: lora, tensorguide."
    """
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f": did you mean '{near[0]}'?" if near else "."
    more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return InputError(
        f"unknown {kind} '{word}'{hint} Known: {', '.join(known[:_MOST_NAMES])}{more}."
    )


def warn_caller(message: str) -> None:
    """Warn at the line outside this library from which the call came, however deep we are.

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_caller("mind the gap.")
    >>> str(caught[0].message)
    'mind the gap.'
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def _is_ours(module: str) -> bool:
    # Decorators of contextlib stand between two frames of ours.
    return module.partition(".")[0] in ("ntklab", "contextlib")
