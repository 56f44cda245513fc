"""Packs: a folder a paper, a file a claim.

A pack is a folder with an `__init__.py` that defines `PAPER`. Every other file of the folder whose
name does not begin with `_` or `test` is a claim and defines `CHECK`; the file's name is the
claim's id. The packs of this project lie in `paper_checks`; any other folder is a pack as well.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from ntklab.claims.claim import Check
from ntklab.claims.judging import require_whole
from ntklab.claims.paper import Paper
from ntklab.errors import InputError, unknown

_PROJECT = "paper_checks"
# In reading order; whatever is named otherwise follows by name.
_KINDS = ("eq", "algorithm", "table", "fig")


@dataclass(frozen=True)
class Pack:
    """The claims of one paper.

    Attributes:
        name: the name of its folder, the first half of its claims' full ids.
        folder: where it lies.
        module: the name under which Python has imported it.
        paper: what it says of itself.

    Example:
        >>> pack = load_pack("tensorguide")
        >>> pack.paper.source, pack.ids[0], pack.full_id("eq13")
        ('arXiv 2506.16456', 'eq01', 'tensorguide/eq13')
    """

    name: str
    folder: Path
    module: str
    paper: Paper

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of its claims, in reading order."""
        names = [path.stem for path in self.folder.glob("*.py")]
        return tuple(sorted((n for n in names if not _is_aside(n)), key=_reading_order))

    def full_id(self, claim: str) -> str:
        """`pack/claim`."""
        return f"{self.name}/{claim}"

    def check(self, claim: str) -> Check:
        """The check of one claim.

        Raises:
            InputError: for an unknown id, with the nearest one; for a file that is no claim.
        """
        if claim not in self.ids:
            raise unknown(f"claim of {self.name}", claim, self.ids)
        check = getattr(_module(f"{self.module}.{claim}", self.folder / f"{claim}.py"), "CHECK", 0)
        place = f"{self.name}/{claim}.py"
        if not isinstance(check, Check):
            raise InputError(f"{place} must define CHECK = Check(...), or be named _{claim}.py.")
        if check.claim.id != claim:
            twice = " That id is another file's." if check.claim.id in self.ids else ""
            raise InputError(
                f'{place} says id "{check.claim.id}": a claim\'s id is the name of its file; '
                f'write Claim(id="{claim}").{twice}'
            )
        return require_whole(check, place)


def pack_names() -> tuple[str, ...]:
    """The names of the project's own packs.

    Example:
        >>> "tensorguide" in pack_names()
        True
    """
    home = _home()
    if home is None:
        return ()
    return tuple(sorted(path.parent.name for path in home.glob("*/__init__.py")))


def load_pack(place: str | Path) -> Pack:
    """A pack of the project by its name, or any other by its folder.

    Args:
        place: a name, e.g. "tensorguide", or a folder. A name of the project goes before a folder
            that is called the same; write "./NAME" for the folder.

    Raises:
        InputError: if there is no such pack, or its `__init__.py` defines no `PAPER`.
    """
    if isinstance(place, str) and place in pack_names():
        return _loaded(_PROJECT_FOLDER() / place, f"{_PROJECT}.{place}")
    folder = Path(place).resolve()
    if not (folder / "__init__.py").is_file():
        what = "has no __init__.py" if folder.is_dir() else "does not exist"
        raise InputError(
            f"no pack '{place}': the project's are {', '.join(pack_names()) or 'absent'}, and a "
            f"folder {folder} {what}. A pack is a folder whose __init__.py defines PAPER; "
            "ntklab claims new FOLDER writes one."
        )
    require_name(folder.name)
    if folder.parent == _home():
        return _loaded(folder, f"{_PROJECT}.{folder.name}")
    # By place, so that a pack may be called as a library is, and two packs may share a name.
    mark = sha256(str(folder).encode()).hexdigest()[:8]
    return _loaded(folder, f"ntklab_pack_{folder.name.replace('-', '_')}_{mark}")


def require_name(name: str) -> str:
    """The name, if a pack can be called so.

    Raises:
        InputError: if not.
    """
    if not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise InputError(
            f"a pack cannot be called '{name}': use letters, digits, - and _, and begin with a "
            "letter."
        )
    return name


def load_packs(place: str | Path | None = None) -> tuple[Pack, ...]:
    """The pack of that place, or all packs of the project."""
    return tuple(load_pack(folder) for folder in (pack_names() if place is None else (str(place),)))


def find_check(name: str, packs: Sequence[Pack] | None = None) -> tuple[Pack, Check]:
    """A claim by its full id "tensorguide/eq13", or by "eq13" where no other pack has one.

    Args:
        name: the id; "eq7" stands for "eq07", and "tera_rank", as old records have it, for
            "tera/rank".
        packs: where to look; all packs of the project if None.

    Raises:
        InputError: for an unknown id, with the nearest one; for one that several packs have.

    Example:
        >>> pack, check = find_check("eq1")
        >>> pack.full_id(check.claim.id)
        'tensorguide/eq01'
    """
    packs = load_packs() if packs is None else packs
    said = {name, re.sub(r"\beq(\d)$", r"eq0\1", name)}
    fits = [
        (pack, claim)
        for pack in packs
        for claim in pack.ids
        if said & {claim, pack.full_id(claim), f"{pack.name}_{claim}"}
    ]
    if not fits:
        whole = "/" in name or len(packs) > 1
        known = [pack.full_id(c) if "/" in name else c for pack in packs for c in pack.ids]
        raise unknown("claim" if whole else f"claim of {packs[0].name}", name, known)
    if len(fits) > 1:
        both = ", ".join(pack.full_id(claim) for pack, claim in fits)
        raise InputError(f"several packs have a claim '{name}': say which of {both}.")
    pack, claim = fits[0]
    return pack, pack.check(claim)


def find_checks(
    names: Sequence[str] = (), packs: Sequence[Pack] | None = None
) -> list[tuple[Pack, Check]]:
    """The claims of these ids, each once, pack by pack in reading order; all if there are none.

    Raises:
        InputError: as `find_check`.
    """
    packs = load_packs() if packs is None else packs
    wanted = {(pack.name, check.claim.id) for pack, check in (find_check(n, packs) for n in names)}
    return [
        (pack, pack.check(claim))
        for pack in packs
        for claim in pack.ids
        if not names or (pack.name, claim) in wanted
    ]


def records_of(pack: Pack) -> Path | None:
    """The folder of the records that a pack's claims read; None if there is none.

    `records` in the pack's own folder; for the project's packs the committed records of the
    checkout that they lie in, which an installed wheel does not have.
    """
    own = pack.folder / "records"
    if own.is_dir() or pack.folder.parent != _home():
        return own if own.is_dir() else None
    place = pack.folder.parents[1] / "figures" / "records"
    return place if place.is_dir() else None


def _PROJECT_FOLDER() -> Path:
    home = _home()
    assert home is not None
    return home


@cache
def _home() -> Path | None:
    """The folder of the project's packs; it is installed beside the library."""
    spec = find_spec(_PROJECT)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]).resolve() if places else None


def _loaded(folder: Path, module: str) -> Pack:
    paper = getattr(_module(module, folder / "__init__.py"), "PAPER", None)
    if not isinstance(paper, Paper):
        raise InputError(
            f"{folder.name}/__init__.py must define PAPER = Paper(title=..., source=...), with "
            "Paper from ntklab.claims."
        )
    return Pack(folder.name, folder, module, paper)


def _module(name: str, path: Path) -> ModuleType:
    """Import by name, or from a file that no search would find; a failure is one sentence."""
    if name in sys.modules:
        return sys.modules[name]
    try:
        if name.startswith(_PROJECT) or path.name != "__init__.py":
            return import_module(name)
        spec = spec_from_file_location(name, path, submodule_search_locations=[str(path.parent)])
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except InputError:
        sys.modules.pop(name, None)
        raise
    except Exception as error:
        sys.modules.pop(name, None)
        raise InputError(_cannot_import(path, error)) from error
    return module


def _cannot_import(path: Path, error: Exception) -> str:
    place, trace = path, error.__traceback__
    line = getattr(error, "lineno", None)
    while trace is not None:  # the last line of the pack's own that was being run
        if Path(trace.tb_frame.f_code.co_filename).parent == path.parent:
            place, line = Path(trace.tb_frame.f_code.co_filename), trace.tb_lineno
        trace = trace.tb_next
    where = f"{place.parent.name}/{place.name}" + (f", line {line}" if line else "")
    advice = ""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith(path.parent.name):
        advice = " Inside a pack import relatively: from ._helpers import name."
    return f"{where} cannot be imported: {type(error).__name__}: {error}.{advice}"


def _is_aside(stem: str) -> bool:
    return stem.startswith(("_", "test")) or stem == "conftest"


def _reading_order(name: str) -> tuple[int, int, str]:
    match = re.fullmatch(r"([a-z]+)(\d+)", name)
    if match is None or match[1] not in _KINDS:
        return len(_KINDS), 0, name
    return _KINDS.index(match[1]), int(match[2]), name
