"""Checks by name: every file of this folder that is named for a claim."""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ntklab.errors import unknown
from paper_checks.harness.claim import Check

_FOLDER = Path(__file__).parents[1]
# In reading order; whatever is named otherwise (the other papers' claims) follows by name.
_KINDS = ("eq", "algorithm", "table", "fig")


def check_names() -> tuple[str, ...]:
    """The names of all checks, in reading order.

    Example:
        >>> check_names()[0]
        'eq01'
    """
    found = [path.stem for path in _FOLDER.glob("*.py") if not path.stem.startswith("_")]
    return tuple(sorted(found, key=_reading_order))


def find_check(name: str) -> Check:
    """The check of one claim: "eq13", or "eq7" for eq07.

    Raises:
        InputError: for an unknown name, with the nearest one.

    Example:
        >>> find_check("eq1").claim.id
        'eq01'
    """
    padded = re.sub(r"^eq(\d)$", r"eq0\1", name.lower())
    if padded not in check_names():
        raise unknown("check", name, check_names())
    return import_module(f"paper_checks.{padded}").CHECK


def find_checks(names: Sequence[str] = ()) -> list[Check]:
    """The checks of these names, each once, in reading order; all if there are none.

    Raises:
        InputError: for an unknown name.
    """
    wanted = {find_check(name).claim.id for name in names}
    return [find_check(name) for name in check_names() if not names or name in wanted]


def committed_records() -> Path | None:
    """The training records of the checkout that these checks lie in; None in an installed wheel."""
    place = _FOLDER.parent / "figures" / "records"
    return place if place.is_dir() else None


def _reading_order(name: str) -> tuple[int, int, str]:
    match = re.fullmatch(r"([a-z]+)(\d+)", name)
    if match is None or match[1] not in _KINDS:
        return len(_KINDS), 0, name
    return _KINDS.index(match[1]), int(match[2]), name
