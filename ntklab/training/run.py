"""The result of a run: its measured rows, and the moments that observers see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from ntklab.display import ShortRepr, axes_or_new, brief, frame_of, html_rows
from ntklab.training.config import TrainConfig
from ntklab.training.divergence import Divergence
from ntklab.training.measure import Row

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Lines of a table in a notebook; the last step is always one of them.
_SHOWN = 12


@dataclass(frozen=True, repr=False)
class Moment(ShortRepr):
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


@dataclass(frozen=True, eq=False, repr=False)
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

    def __repr__(self) -> str:
        """Optimizer, steps and the figures at the end; how it diverged if it did."""
        config, final = self.config, self.final
        names = [n for n in final if n.endswith(("_loss", "_accuracy")) and final[n] is not None]
        figures = ", ".join(f"{name} {final[name]:.4g}" for name in names)
        gone = f"; diverged: {self.divergence}" if self.divergence is not None else ""
        return (
            f"Run of {self.steps} steps by {config.optimizer} at η = {config.lr:.4g}, "
            f"{config.loss} loss: {figures}{gone}"
        )

    def _repr_html_(self) -> str:
        shown = self.rows if len(self.rows) <= _SHOWN else (*self.rows[: _SHOWN - 1], self.rows[-1])
        names = list(dict.fromkeys(name for row in shown for name in row))
        cells = [[brief(row.get(name)) for name in names] for row in shown]
        return html_rows(repr(self), names, cells)

    def to_frame(self) -> "pd.DataFrame":
        """One row a logged step, with all that was measured there and the seconds until then."""
        pairs = zip(self.rows, self.seconds, strict=True)
        return frame_of({**row, "seconds": seconds} for row, seconds in pairs)

    def plot(self, axes: "Axes | None" = None, **line: Any) -> "Axes":
        """Losses of the training samples and of every test set, against step + 1.

        Args:
            axes: where to draw; new ones if None.
            **line: options of `Axes.plot`.

        Returns:
            The axes.
        """
        axes = axes_or_new(axes)
        steps = [float(row["step"] or 0) + 1 for row in self.rows]
        for name in (name for name in self.rows[0] if name.endswith("_loss")):
            values = [float("nan") if v is None else float(v) for v in self.column(name)]
            axes.plot(steps, values, label=name.replace("_", " "), **{"marker": "o", **line})
        axes.set(xscale="log", yscale="log", xlabel="step + 1", ylabel=f"{self.config.loss} loss")
        axes.legend()
        return axes

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
