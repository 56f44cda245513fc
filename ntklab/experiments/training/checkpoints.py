"""Where the training runs of a cell keep their checkpoints.

    running/<id>/train/checkpoint.safetensors      the measured run of cell <id>
    running/<id>/rate-<η>/checkpoint.safetensors   a run that its rate is chosen by

A cell that was cut short finds its checkpoints again and goes on bit for bit; once the cell stands
in `cells/`, its folder under `running/` is gone (`ntklab.records.RunFolder`).
"""

from pathlib import Path

#: Seconds between checkpoints of a cell: what SIGKILL may cost. One takes some milliseconds.
CHECKPOINT_SECONDS = 1.0


def part_of(running: Path | None, name: str) -> Path | None:
    """The place of one training run of a cell; None where nothing is kept.

    Example:
        >>> part_of(None, "train") is None, part_of(Path("running/0123"), "train").as_posix()
        (True, 'running/0123/train')
    """
    return None if running is None else running / name
