"""A symmetric matrix on disk, block by block, of which the upper triangle alone is there.

    FOLDER.zarr/ntklab.json      what the matrix is of, and how it is cut; decided by the first run
    FOLDER.zarr/gram             the blocks, a zarr array that any reader of zarr opens
    FOLDER.zarr/triangle         R of a tall Jacobian, once it is known

Each block is one file, written under another name and moved into place: it is whole or absent,
whoever is killed, and two runs on one store write the same blocks over each other at worst.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from ntklab.errors import InputError, MissingExtraError
from ntklab.files import TEMPORARY_SUFFIX, make_folder
from ntklab.records.record import read_json
from ntklab.records.run_folder import first_difference
from ntklab.records.values import plain

DESCRIPTION = "ntklab.json"
SCHEMA = "ntklab-store/1"
GRAM, TRIANGLE = "gram", "triangle"


@dataclass(frozen=True)
class Layout:
    """How a symmetric matrix is cut into blocks.

    Attributes:
        samples: N.
        step: rows a sample: C of a full kernel, 1 of a reduced one.
        stacked: matrices of one shape: C of a kernel's diagonal; 0 for a plain matrix.
        chunk: samples a block.
        dtype: of the entries, as numpy names it.

    Example:
        >>> layout = Layout(samples=5, step=2, stacked=0, chunk=2, dtype="float64")
        >>> layout.shape, layout.blocks[:4], layout.span(2)
        ((10, 10), [(0, 0), (0, 1), (0, 2), (1, 1)], (4, 5))
    """

    samples: int
    step: int
    stacked: int
    chunk: int
    dtype: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole array."""
        side = self.samples * self.step
        return (self.stacked, side, side) if self.stacked else (side, side)

    @property
    def strips(self) -> int:
        """Blocks in a row."""
        return -(-self.samples // self.chunk)

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """Those of the upper triangle, row by row."""
        return [(i, j) for i in range(self.strips) for j in range(i, self.strips)]

    def span(self, place: int) -> tuple[int, int]:
        """The samples of a strip: first, and one after the last."""
        return place * self.chunk, min((place + 1) * self.chunk, self.samples)

    def at(self, i: int, j: int) -> tuple[Any, ...]:
        """Where a block stands in the whole array."""
        rows, columns = (slice(*(end * self.step for end in self.span(k))) for k in (i, j))
        return (slice(None), rows, columns) if self.stacked else (rows, columns)


@dataclass(frozen=True)
class BlockStore:
    """The blocks of one matrix in a folder; a few words, so that workers get it as it is.

    Attributes:
        path: the folder, at the same place for all workers.
        layout: how the matrix is cut.

    Example:
        >>> import tempfile
        >>> layout = Layout(samples=3, step=1, stacked=0, chunk=2, dtype="float64")
        >>> store = open_store(Path(tempfile.mkdtemp()) / "k.zarr", {"model": "m"}, layout)
        >>> store.write(0, 1, np.array([[1.0], [2.0]]))
        >>> store.has(0, 1), store.missing()
        (True, [(0, 0), (1, 1)])
    """

    path: str
    layout: Layout

    @cached_property
    def gram(self) -> Any:
        """The zarr array."""
        return _array(self.path, GRAM, self.layout.shape, self._block_shape, self.layout.dtype)

    @property
    def bytes(self) -> int:
        """Of the whole matrix, both triangles."""
        return int(np.prod(self.layout.shape)) * np.dtype(self.layout.dtype).itemsize

    def has(self, i: int, j: int) -> bool:
        """Whether a block is there."""
        key = self.gram.metadata.encode_chunk_key((0, i, j) if self.layout.stacked else (i, j))
        return (Path(self.path) / GRAM / key).exists()

    def missing(self) -> list[tuple[int, int]]:
        """The blocks that are still to be computed."""
        return [(i, j) for i, j in self.layout.blocks if not self.has(i, j)]

    def write(self, i: int, j: int, block: np.ndarray) -> None:
        """Put a block in its place; it is there whole, or not at all."""
        self.gram[self.layout.at(i, j)] = block.astype(self.layout.dtype, copy=False)

    def read(self, i: int, j: int) -> np.ndarray:
        """A block.

        Raises:
            InputError: it is not there, or damaged.
        """
        if not self.has(i, j):
            raise InputError(f"{self.path} lacks block ({i}, {j}): run the command again.")
        try:
            return np.asarray(self.gram[self.layout.at(i, j)])
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(
                f"block ({i}, {j}) of {self.path} cannot be read ({error}): remove its file and "
                "run the command again."
            ) from error

    def dense(self) -> np.ndarray:
        """The whole matrix, the lower triangle mirrored.

        Raises:
            InputError: blocks are missing.
        """
        whole = np.empty(self.layout.shape, dtype=self.layout.dtype)
        for i, j in self.layout.blocks:
            block = self.read(i, j)
            whole[self.layout.at(i, j)] = block
            if i != j:
                whole[self.layout.at(j, i)] = np.swapaxes(block, -1, -2)
        return whole

    def triangle(self, columns: int, tag: str) -> np.ndarray | None:
        """R of the Jacobian, if it is there.

        Args:
            columns: P.
            tag: which one: a centred Jacobian has its own.
        """
        name = f"{TRIANGLE}-{tag}"
        if not (Path(self.path) / name / "c" / "0" / "0").exists():
            return None
        shape = (columns, columns)
        return np.asarray(_array(self.path, name, shape, shape, "float64")[:])

    def keep_triangle(self, R: np.ndarray, tag: str) -> None:
        """Keep R, columns × columns, for the next run."""
        _array(self.path, f"{TRIANGLE}-{tag}", R.shape, R.shape, "float64")[:] = R

    @property
    def _block_shape(self) -> tuple[int, ...]:
        side = min(self.layout.chunk, self.layout.samples) * self.layout.step
        return (self.layout.stacked, side, side) if self.layout.stacked else (side, side)


def open_store(path: str | Path, config: Mapping[str, Any], layout: Layout) -> BlockStore:
    """The store of a matrix, made if absent.

    Args:
        path: the folder.
        config: everything that the numbers depend on, as JSON data.
        layout: how to cut it; a store that is there keeps its own chunk unless told otherwise
            (`stored_chunk`).

    Raises:
        InputError: the folder holds another matrix (the first difference is named), it cannot be
            written, or it is no store.
        MissingExtraError: without the extra `cluster`.
    """
    _zarr()
    claim(path, {"of": dict(config), "layout": asdict(layout)})
    return BlockStore(str(path), layout)


def claim(path: str | Path, config: Mapping[str, Any]) -> None:
    """Make the folder that of this configuration; whoever comes first decides.

    Raises:
        InputError: it is another's, it cannot be written, or it holds something else.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "k.zarr"
        >>> claim(place, {"samples": 4})
        >>> try:
        ...     claim(place, {"samples": 5})
        ... except InputError as error:
        ...     print(str(error).replace(str(place), "K"))
        K holds blocks with samples = 4, not 5: name another --store, or remove the folder.
    """
    folder, wanted = Path(path), plain({"schema": SCHEMA, **config})
    here = folder / DESCRIPTION
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: --store names a folder.")
    if not here.exists():
        _refuse_strangers(folder)
        make_folder(folder)
        _write_once(here, json.dumps(wanted, indent=2, ensure_ascii=False) + "\n")
    difference = first_difference(read_json(here), wanted)
    if difference:
        key, old, new = difference
        raise InputError(
            f"{folder} holds blocks with {key.removeprefix('of.')} = {old}, not {new}: name "
            "another --store, or remove the folder."
        )


def stored_chunk(path: str | Path) -> int | None:
    """Samples a block of the store that is there; None if there is none."""
    here = Path(path) / DESCRIPTION
    if not here.exists():
        return None
    chunk = read_json(here).get("layout", {}).get("chunk")
    return chunk if isinstance(chunk, int) else None


def _write_once(path: Path, text: str) -> None:
    """Write the file unless another process has just done so: never a part, never over it."""
    # Threads share a process's number, and machines that share a folder may have equal ones.
    temporary = path.parent / f".{path.name}.{uuid4().hex}{TEMPORARY_SUFFIX}"
    try:
        temporary.write_text(text, encoding="utf-8")
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _refuse_strangers(folder: Path) -> None:
    # Another run may have described the folder, and filled it, since the caller looked.
    strange = folder.is_dir() and any(_others(folder))
    if strange and not (folder / DESCRIPTION).exists():
        raise InputError(f"{folder} holds something else than blocks: name another --store.")


def _others(folder: Path) -> Iterator[Path]:
    return (one for one in folder.iterdir() if not one.name.endswith(TEMPORARY_SUFFIX))


def _array(
    path: str, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str
) -> Any:
    zarr = _zarr()
    # A block of zeros is there as well: absent blocks are those to be computed.
    how = {"write_empty_chunks": True}
    already = (zarr.errors.ContainsArrayError, zarr.errors.ContainsGroupError)
    with suppress(*already):  # another run was first, with the same words
        if not (Path(path) / "zarr.json").exists():
            zarr.create_group(path)
    with suppress(*already):
        if not (Path(path) / name / "zarr.json").exists():
            checked = [zarr.codecs.Crc32cCodec()]
            cut = {"shape": shape, "chunks": chunks, "dtype": dtype, "compressors": checked}
            return zarr.create_array(path, name=name, config=how, **cut)
    return zarr.open_array(path, path=name, mode="r+", config=how)


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise MissingExtraError("a store of blocks", "cluster") from error
    return zarr
