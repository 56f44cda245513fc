"""A run folder that keeps the training runs in hand, beside the cells that are finished.

    running/<id>/train/checkpoint.safetensors      the measured run of cell <id>
    running/<id>/rate-<η>/checkpoint.safetensors   a run that its rate is chosen by

A cell that was cut short finds its checkpoints again and goes on bit for bit; once the cell stands
in `cells/`, its folder under `running/` is gone.
"""

import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ntklab.records import Cell, RunFolder, cell_id

RUNNING = "running"

#: Seconds between checkpoints of a cell: what SIGKILL may cost. One takes some milliseconds.
CHECKPOINT_SECONDS = 1.0

_CELL = re.compile(r"[0-9a-f]{16}")


class TrainingFolder(RunFolder):
    """Finished cells, and a place for the checkpoints of each unfinished one.

    Args:
        path: the folder; made if missing.
        config: the configuration of the whole run, JSON data.
        force: start afresh: forget finished and running cells of whatever run was here.

    Raises:
        InputError: as `ntklab.records.RunFolder`.

    Example:
        >>> import tempfile
        >>> folder = TrainingFolder(tempfile.mkdtemp(), {"steps": 5})
        >>> place = folder.running({"seed": 0})
        >>> place.mkdir(parents=True)
        >>> folder.save({"seed": 0}, Cell({"loss": 0.5}, {}, {}))
        >>> place.exists(), folder.load({"seed": 0}).row["loss"]
        (False, 0.5)
    """

    def __init__(self, path: str | Path, config: Mapping[str, Any], *, force: bool = False) -> None:
        super().__init__(path, config, force=force)
        if force and (self.path / RUNNING).is_dir():
            for place in (self.path / RUNNING).iterdir():
                _remove(place)

    def running(self, config: Mapping[str, Any]) -> Path:
        """Where the checkpoints of an unfinished cell belong."""
        return self.path / RUNNING / cell_id(config)

    def load(self, config: Mapping[str, Any]) -> Cell | None:
        """The finished cell; what a kill between its two last acts left behind is cleared away."""
        found = super().load(config)
        if found is not None:
            _remove(self.running(config))
        return found

    def save(self, config: Mapping[str, Any], cell: Cell) -> None:
        """Keep a finished cell, then let go of its checkpoints, in that order."""
        super().save(config, cell)
        _remove(self.running(config))


def part_of(running: Path | None, name: str) -> Path | None:
    """The place of one training run of a cell; None where nothing is kept.

    Example:
        >>> part_of(None, "train") is None, part_of(Path("running/0123"), "train").as_posix()
        (True, 'running/0123/train')
    """
    return None if running is None else running / name


def _remove(place: Path) -> None:
    """Only folders with a name that this class gives."""
    if _CELL.fullmatch(place.name):
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):
            place.parent.rmdir()  # the last one takes `running` with it
