"""The result of a run: its measured rows, and the moments that observers see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from ntklab.training.config import TrainConfig
from ntklab.training.divergence import Divergence
from ntklab.training.measure import Row


@dataclass(frozen=True)
class Moment:
    """A logged step, as an observer is shown it.

    Attributes:
        step: updates made.
        model: in evaluation mode, with the parameters of this step; to be left as it is.
        row: what has been measured so far.
    """

    step: int
    model: nn.Module
    row: Mapping[str, float | int | None]


class Observer(Protocol):
    """Anything that measures a model at a logged step."""

    def __call__(self, moment: Moment, /) -> Mapping[str, float | int | None]:
        """Columns that join the row."""
        ...


@dataclass(frozen=True, eq=False)
class Run:
    """A measured training run.

    Attributes:
        config: what it was run with.
        rows: one a logged step: `step`, `epoch`, `lr`, losses, accuracies, gaps and what the
            observers added. Nothing in them depends on the clock.
        seconds: time spent on updates until each row, measurements not counted.
        steps: updates made.
        train_seconds: time spent on them, over all sittings.
        start: the trainable parameters at the start.
        divergence: how the run diverged, or None.
    """

    config: TrainConfig
    rows: tuple[Row, ...]
    seconds: tuple[float, ...]
    steps: int
    train_seconds: float
    start: Mapping[str, Tensor]
    divergence: Divergence | None

    @property
    def steps_per_second(self) -> float | None:
        """Updates a second, measurements not counted; None for a run without updates."""
        return self.steps / self.train_seconds if self.steps and self.train_seconds else None

    @property
    def final(self) -> Row:
        """The last row."""
        return self.rows[-1]

    def column(self, name: str) -> list[float | int | None]:
        """One quantity along the logged steps; None where a row lacks it."""
        return [row.get(name) for row in self.rows]
