"""Files that are whole or absent: written under a temporary name, then moved into place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from ntklab.errors import InputError

TEMPORARY_SUFFIX = ".tmp"


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it over `path` only if the block succeeds.

    A reader therefore sees the old file or the new one, never a part. The temporary name starts
    with a dot and ends in `.tmp`, so that a file left behind by a killed process is never taken
    for a result.

    Args:
        path: where the file is to stand; missing parent folders are made.

    Raises:
        InputError: if the folder cannot be made or written to.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with whole_file(target) as temporary:
        ...     _ = temporary.write_text("all of it")
        >>> target.read_text(), len(list(target.parent.iterdir()))
        ('all of it', 1)
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = path.parent / f".{path.name}.{uuid4().hex[:8]}{TEMPORARY_SUFFIX}"
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text so that the file is whole or absent."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def make_folder(path: Path) -> None:
    """Make a folder and its parents, with a sentence instead of a traceback where that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {path}: {error.strerror or error}; name another one."
        ) from error


def check_folder(path: str | Path) -> Path:
    """The path of a folder that is there or could be made.

    Raises:
        InputError: a file stands there or above it, or nothing may be written there.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "runs" / "first"
        >>> check_folder(place) == place, place.exists()
        (True, False)
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file: name a folder.")
    _check_ancestor(path, path)
    return path


def check_file(path: str | Path) -> Path:
    """The path of a file that could be written, over one that is there.

    Raises:
        InputError: a folder stands there, a file stands above it, or nothing may be written there.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file.")
    _check_ancestor(path, path.parent)
    return path


def _check_ancestor(path: Path, folder: Path) -> None:
    above = next((one for one in (folder, *folder.parents) if one.exists()), Path("."))
    if not above.is_dir():
        raise InputError(f"cannot write {path}: {above} is a file; name another place.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: {above} may not be written to; name another place.")
