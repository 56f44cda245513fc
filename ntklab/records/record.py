"""A record: one JSON file a run, its arrays beside it in safetensors."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.files import whole_file, write_text
from ntklab.records.schema import SCHEMA, check_record
from ntklab.records.values import plain, to_json, without_gaps


@dataclass(frozen=True, repr=False)
class Record(ShortRepr):
    """The results of a command, the configuration that they follow from, and their provenance.

    Attributes:
        command: the command's name, e.g. `"spectrum"`.
        config: the resolved configuration, JSON data.
        provenance: see `ntklab.records.provenance.collect`.
        results: flat rows; a figure that could not be computed is None, with a `reason`.
        arrays: arrays by name, kept in a safetensors file beside the JSON.
    """

    command: str
    config: dict[str, Any]
    provenance: dict[str, Any]
    results: list[dict[str, Any]]
    arrays: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def to_dict(self, arrays_file: str | None = None) -> dict[str, Any]:
        """The record as JSON data, checked against `ntklab.records.schema`.

        Raises:
            InputError: if the record does not fit its description.
        """
        data = {
            "schema": SCHEMA,
            "command": self.command,
            "config": plain(self.config),
            "provenance": plain(self.provenance),
            "results": [without_gaps(row) for row in self.results],
            "arrays": arrays_file,
        }
        check_record(data)
        return data

    def to_json(self, arrays_file: str | None = None) -> str:
        """The record's JSON text: keys sorted, floats exact, no NaN."""
        return to_json(self.to_dict(arrays_file))

    def write(self, folder: str | Path, name: str = "record") -> Path:
        """Write `name.json` (and `name.safetensors`, if there are arrays) into a folder.

        Args:
            folder: made if missing.
            name: file name without its ending.

        Returns:
            The path of the JSON file.

        Raises:
            InputError: if the record does not fit its description, or cannot be written.
        """
        path = Path(folder) / f"{name}.json"
        arrays_file = f"{name}.safetensors" if self.arrays else None
        text = self.to_json(arrays_file)  # a bad record is refused before anything is written
        if arrays_file:
            write_arrays(path.with_name(arrays_file), self.arrays)
        write_text(path, text)
        return path

    @classmethod
    def read(cls, path: str | Path) -> "Record":
        """Read a record with its arrays.

        Args:
            path: the JSON file, or a folder that holds a `record.json`.

        Raises:
            InputError: if the file is missing, not JSON, not a record, or its arrays are missing.
        """
        path = Path(path)
        path = path / "record.json" if path.is_dir() else path
        data = read_json(path)
        check_record(data, where=str(path))
        arrays = read_arrays(path.with_name(data["arrays"])) if data["arrays"] else {}
        return cls(data["command"], data["config"], data["provenance"], data["results"], arrays)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as safetensors, whole or not at all; equal arrays give equal bytes."""
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    with whole_file(path) as temporary:
        temporary.write_bytes(save(contiguous))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read a safetensors file.

    Raises:
        InputError: if it is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise InputError(f"the arrays file {path} is missing: it belongs beside its record.")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"the arrays file {path} is damaged: {error}.") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: if it is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"there is no record at {path}: name a record's JSON file.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable JSON file: {error}.") from error
