"""A folder of finished cells, which a run fills and a later run resumes.

    config.json          the configuration of the whole run
    cells/<id>.json      one finished cell: its configuration, its row, what was measured
    cells/<id>.safetensors   its arrays
    running/<id>/        checkpoints of a long cell that is not finished; gone once it is
    record.json          the record of the finished run, written last

`<id>` is a hash of the cell's configuration, so a cell is found again whatever the order. Time
and memory stand under `measured` alone: everything else in a cell is the same, byte for byte, in
every run with the same seeds on the same machine and library versions.
"""

import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.files import make_folder, write_text
from ntklab.records.record import read_arrays, read_json, write_arrays
from ntklab.records.values import fingerprint, plain, to_json, without_gaps

_CELL_FILE = re.compile(r"[0-9a-f]{16}\.(json|safetensors)")
_CELL = re.compile(r"[0-9a-f]{16}")

RUNNING = "running"


@dataclass(frozen=True, repr=False)
class Cell(ShortRepr):
    """One finished cell.

    Attributes:
        row: the result, flat, without what depends on the clock.
        measured: wall time, memory: what differs from run to run.
        arrays: arrays by name.
        parts: further rows, of what the result is the sum of.
    """

    row: dict[str, Any]
    measured: dict[str, Any]
    arrays: dict[str, np.ndarray]
    parts: tuple[dict[str, Any], ...] = ()

    @property
    def flat(self) -> dict[str, Any]:
        """The row of a record: the result with what was measured."""
        return {**self.row, **self.measured}

    @property
    def flat_parts(self) -> list[dict[str, Any]]:
        """The rows of the parts; what was measured is of the whole."""
        return [{**part, **self.measured} for part in self.parts]


def cell_id(config: Mapping[str, Any]) -> str:
    """The name of a cell: 16 hexadecimal digits from its configuration."""
    return fingerprint(config)[:16]


class RunFolder:
    """Finished cells on disk.

    Args:
        path: the folder; made if missing.
        config: the configuration of the whole run, JSON data.
        force: start afresh: forget the cells of whatever run was here.

    Raises:
        InputError: if the folder holds a run with another configuration (the first key that
            differs is named with both values), or if it cannot be made.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "run"
        >>> folder = RunFolder(place, {"samples": 64})
        >>> folder.save({"seed": 0}, Cell({"rank": 3}, {"seconds": 0.1}, {}))
        >>> RunFolder(place, {"samples": 64}).load({"seed": 0}).row["rank"]
        3
        >>> try:
        ...     RunFolder(place, {"samples": 32})
        ... except InputError as error:
        ...     print(str(error).replace(str(place), "RUN"))
        RUN holds a run with samples = 64, not 32: choose another --out, or --force to start afresh.
    """

    def __init__(self, path: str | Path, config: Mapping[str, Any], *, force: bool = False) -> None:
        self.path = Path(path)
        self._cells = self.path / "cells"
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file: --out names a folder.")
        if not force:
            self._refuse_another(plain(config))
        make_folder(self._cells)
        if force:
            self._forget()
        write_text(self.path / "config.json", to_json(config))

    def __repr__(self) -> str:
        """Where it is, and how many cells are finished."""
        return f"RunFolder({str(self.path)!r}, {len(list(self._cells.glob('*.json')))} cells)"

    def running(self, config: Mapping[str, Any]) -> Path:
        """Where the checkpoints of an unfinished cell belong."""
        return self.path / RUNNING / cell_id(config)

    def load(self, config: Mapping[str, Any]) -> Cell | None:
        """The finished cell of a configuration, or None if it is still to be computed."""
        cell = self._read(config)
        if cell is not None:  # a kill between the two last acts of `save` leaves checkpoints
            _remove(self.running(config))
        return cell

    def _read(self, config: Mapping[str, Any]) -> Cell | None:
        name = cell_id(config)
        try:
            data = read_json(self._cells / f"{name}.json")
            arrays_file = self._cells / f"{name}.safetensors"
            arrays = read_arrays(arrays_file) if data["arrays"] else {}
            return Cell(data["row"], data["measured"], arrays, tuple(data["parts"]))
        except (InputError, KeyError, TypeError):
            return None  # absent or damaged: compute it again

    def save(self, config: Mapping[str, Any], cell: Cell) -> None:
        """Keep a finished cell, then let go of its checkpoints, in that order.

        It counts as finished once its JSON file stands.
        """
        name = cell_id(config)
        if cell.arrays:
            write_arrays(self._cells / f"{name}.safetensors", cell.arrays)
        data = {
            "config": config,
            "row": without_gaps(cell.row),
            "parts": [without_gaps(part) for part in cell.parts],
            "measured": cell.measured,
            "arrays": sorted(cell.arrays),
        }
        write_text(self._cells / f"{name}.json", to_json(data))
        _remove(self.running(config))

    def _refuse_another(self, config: dict[str, Any]) -> None:
        here = self.path / "config.json"
        if not here.exists():
            return
        difference = first_difference(read_json(here), config)
        if difference:
            key, old, new = difference
            raise InputError(
                f"{self.path} holds a run with {key} = {old}, not {new}: "
                "choose another --out, or --force to start afresh."
            )

    def _forget(self) -> None:
        for path in self._cells.iterdir():  # only names that this class writes
            if _CELL_FILE.fullmatch(path.name):
                path.unlink()
        for name in ("record.json", "record.safetensors"):
            (self.path / name).unlink(missing_ok=True)
        if (self.path / RUNNING).is_dir():
            for place in (self.path / RUNNING).iterdir():
                _remove(place)


def _remove(place: Path) -> None:
    """A folder of checkpoints: only one with a name that this module gives."""
    if _CELL.fullmatch(place.name) and place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):
            place.parent.rmdir()  # the last one takes `running` with it


def first_difference(old: Any, new: Any, key: str = "") -> tuple[str, str, str] | None:
    """The first key, in alphabetical order, whose values differ, with both values as text.

    Example:
        >>> first_difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}})
        ('a.c', '2', '3')
        >>> first_difference({"a": 1}, {"a": 1}) is None
        True
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            inner = f"{key}.{name}" if key else name
            difference = first_difference(old.get(name), new.get(name), inner)
            if difference:
                return difference
        return None
    return None if old == new else (key, repr(old), repr(new))
