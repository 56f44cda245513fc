"""A pack to begin with: one claim that runs, its test and a README."""

from pathlib import Path

from ntklab.claims.packs import require_name
from ntklab.errors import InputError
from ntklab.files import write_text

_STARTER = Path(__file__).parent / "starter"


def new_pack(folder: str | Path) -> list[Path]:
    """Write a pack with one claim into a folder that is new or empty.

    Args:
        folder: its name becomes the pack's.

    Returns:
        The files written.

    Raises:
        InputError: if the folder holds anything, or cannot be a pack's name.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from ntklab.claims import load_pack
        >>> with TemporaryDirectory() as place:
        ...     written = new_pack(Path(place) / "mine")
        ...     print(load_pack(Path(place) / "mine").ids)
        ('kernel_rank',)
    """
    place = Path(folder)
    name = require_name(place.resolve().name)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise InputError(f"{folder} is not an empty folder: name one that is new.")
    paths = []
    for source in sorted(path for path in _STARTER.rglob("*.in") if path.is_file()):
        path = place / source.relative_to(_STARTER).with_suffix("")
        text = source.read_text(encoding="utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text.replace("@NAME@", name).replace("@FOLDER@", str(folder)))
        paths.append(path)
    return paths
