"""Charge stability diagrams and the files that hold them."""

import hashlib
import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ntklab.display import ShortRepr
from ntklab.errors import InputError

SIDE = 50
FOLDER_FILES = {"clean": "csds_noiseless.npy", "noisy": "csds.npy", "labels": "labels.npy"}
_UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
_EXPECTED = (
    f"a folder with {', '.join(sorted(FOLDER_FILES.values()))}, or an .npz file with "
    f"{', '.join(FOLDER_FILES)}"
)


@dataclass(frozen=True, eq=False, repr=False)
class Diagrams(ShortRepr):
    """Clean and noisy images of the same devices, with the number of dots as the class.

    Args:
        clean: Sensor signal without noise, shape (n, 50, 50), float32.
        noisy: The same scans with noise, shape (n, 50, 50), float32.
        labels: 0 for a single dot, 1 for a double dot, shape (n,), int64.

    Example:
        >>> images = np.zeros((2, 50, 50), dtype=np.float32)
        >>> len(Diagrams(images, images, np.array([0, 1])))
        2
    """

    clean: NDArray[np.float32]
    noisy: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of devices n."""
        return len(self.labels)

    @property
    def sha256(self) -> str:
        """SHA-256 of the three arrays' bytes in their order here, so any source can be named."""
        digest = hashlib.sha256()
        for field in fields(self):
            digest.update(np.ascontiguousarray(getattr(self, field.name)).tobytes())
        return digest.hexdigest()


def _read_folder(folder: Path) -> dict[str, NDArray]:
    missing = [name for name in FOLDER_FILES.values() if not (folder / name).is_file()]
    if missing:
        raise InputError(f"'{folder}' has no {', '.join(missing)}: expected {_EXPECTED}.")
    return {key: _read_array(folder / name) for key, name in FOLDER_FILES.items()}


def _read_array(path: Path) -> NDArray:
    try:
        array = np.load(path, allow_pickle=False)
    except _UNREADABLE as error:
        raise InputError(f"'{path}' cannot be read as a .npy array of numbers: {error}.") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(f"'{path}' is an archive of arrays, but one .npy array was expected.")
    return array


def _read_archive(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            absent = [key for key in FOLDER_FILES if key not in archive]
            if absent:
                raise InputError(
                    f"'{path}' holds {', '.join(archive.files) or 'nothing'} but no "
                    f"{', '.join(absent)}: expected {_EXPECTED}."
                )
            return {key: archive[key] for key in FOLDER_FILES}
    except InputError:
        raise
    except (*_UNREADABLE, TypeError, AttributeError) as error:
        # The last two: a plain .npy under this name is an array, which no `with` can open.
        raise InputError(
            f"'{path}' cannot be read as an .npz archive of numbers ({error}): "
            f"expected {_EXPECTED}."
        ) from error


def _check_images(path: Path, key: str, images: NDArray) -> NDArray[np.float32]:
    if images.dtype.kind not in "fiu" or images.ndim != 3 or images.shape[1:] != (SIDE, SIDE):
        raise InputError(
            f"'{key}' of '{path}' is {images.dtype} of shape {images.shape}: expected real "
            f"numbers of shape (n, {SIDE}, {SIDE})."
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite: refused below
        images = images.astype(np.float32)
    bad = ~np.isfinite(images)
    if bad.any():
        raise InputError(
            f"'{key}' of '{path}' holds {int(bad.sum())} values that are NaN or infinite, the "
            f"first in image {int(np.argwhere(bad)[0][0])}: remove or mend those images."
        )
    return images


def _check_labels(path: Path, labels: NDArray, expected: int) -> NDArray[np.int64]:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind not in "fiub" or labels.shape != (expected,):
        raise InputError(
            f"'labels' of '{path}' is {labels.dtype} of shape {labels.shape}: expected "
            f"{expected} numbers, one for each image."
        )
    wrong = ~np.isin(labels, (0, 1))
    if wrong.any():
        raise InputError(
            f"'labels' of '{path}' holds {labels[wrong][0].item()}: expected only 0 (single dot) "
            "and 1 (double dot)."
        )
    return labels.astype(np.int64)


def load_diagrams(path: Path | str) -> Diagrams:
    """Read diagrams from the authors' files or from one archive; nothing pickled is ever loaded.

    A folder holds ``csds.npy`` (noisy), ``csds_noiseless.npy`` and ``labels.npy``, as the public
    code of the TensorGuide paper has them; an ``.npz`` file holds ``clean``, ``noisy`` and
    ``labels``. Images are returned as they are, only converted to float32.

    Args:
        path: The folder or the file.

    Returns:
        The diagrams, images of shape (n, 50, 50).

    Raises:
        InputError: If a file or array is missing or unreadable, a shape is not (n, 50, 50), a
            label is neither 0 nor 1, or a value is NaN or infinite.

    Example:
        >>> load_diagrams("no-such-folder")
        Traceback (most recent call last):
        ...
        ntklab.errors.InputError: 'no-such-folder' does not exist: expected a folder with ...
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"'{path}' does not exist: expected {_EXPECTED}.")
    arrays = _read_folder(path) if path.is_dir() else _read_archive(path)
    clean = _check_images(path, "clean", arrays["clean"])
    noisy = _check_images(path, "noisy", arrays["noisy"])
    if len(clean) != len(noisy) or len(clean) == 0:
        raise InputError(
            f"'{path}' holds {len(clean)} clean and {len(noisy)} noisy images: expected the same "
            "number, at least one."
        )
    return Diagrams(clean, noisy, _check_labels(path, arrays["labels"], len(clean)))
