"""The one training loop: updates between logs, with checkpoints, Ctrl-C and a watch over the loss.

`ntklab.training.supervised` trains any model on samples by it, `ntklab.training.vocabulary` a head
on the tokens of a language model.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ntklab.accelerator import stated_precision
from ntklab.training.config import Stopping, TrainConfig, best, learning_rate
from ntklab.training.divergence import Watch
from ntklab.training.interrupt import deferred_interrupt
from ntklab.training.measure import Row
from ntklab.training.seeds import Minibatches, private_randomness
from ntklab.training.state import FILE, State, load_state, save_state

Progress = Callable[[int, int], object]

#: The test set that decides when to stop, and which parameters are kept.
VALID = "valid"


class Loop(ABC):
    """Updates of a state until it is done, in as many sittings as it takes.

    A subclass says what an update is, when it logs and what; its numbers must depend on the state
    alone, so that a resumed run ends with the same bits.

    Args:
        state: at the start of the run.
        config: optimizer, rate, schedule, batch, number of steps.
        n_samples: N that the batches are drawn from.
        home: the device on which the rows of a batch index.
        folder: where the checkpoint lives; None keeps none.
        progress: called with (steps done, all steps).
    """

    #: Seconds between two calls of `progress`.
    progress_seconds = 0.1

    def __init__(
        self,
        state: State,
        config: TrainConfig,
        n_samples: int,
        *,
        home: torch.device,
        folder: Path | str | None,
        progress: Progress | None,
    ) -> None:
        self.state, self.config, self.n_samples = state, config, n_samples
        self.total = config.total_steps(n_samples)
        self.batches = Minibatches(n_samples, config.batch, config.seed, home)
        self.progress = progress or (lambda done, total: None)
        self.path = None if folder is None else Path(folder) / FILE
        self.identity: Mapping[str, object] = {} if self.path is None else self.describe()

    @abstractmethod
    def describe(self) -> Mapping[str, object]:
        """JSON data that a resumed run must share."""

    @abstractmethod
    def update(self) -> Tensor:
        """Make one update; the loss of its batch."""

    @abstractmethod
    def logs_at(self, step: int) -> bool:
        """Whether a row is due after this many updates."""

    @abstractmethod
    def log(self) -> None:
        """Measure, and append a row to the state."""

    @abstractmethod
    def watch(self) -> Watch:
        """Says when the loss has diverged."""

    @property
    def done(self) -> bool:
        """Whether no update is left to make."""
        return self.state.step >= self.total or self.state.diverged is not None

    def run(self, checkpoint_seconds: float) -> None:
        """Resume or begin, and go on until the run is done.

        Raises:
            InputError: a folder of another run.
            KeyboardInterrupt: after the checkpoint was written.
        """
        state = self.state
        with stated_precision(), private_randomness(self.config.seed, state.device):
            resumed = self.path is not None and load_state(self.path, state, self.identity)
            if not resumed:
                self.log()
            saved_step = state.step if resumed else None
            # A loop that keeps nothing has nothing to save from Ctrl-C.
            with nullcontext(lambda: False) if self.path is None else deferred_interrupt() as stop:
                if not self.done:
                    self._steps(stop, checkpoint_seconds)
            if state.step != saved_step:
                self._save()
            if stop() and not self.done:
                raise KeyboardInterrupt

    def _steps(self, stop: Callable[[], bool], checkpoint_seconds: float) -> None:
        state, watch = self.state, self.watch()
        saving = _Clock(checkpoint_seconds, time.perf_counter())
        showing = _Clock(self.progress_seconds)
        state.model.train()
        since, shown = time.perf_counter(), None
        while not self.done and not stop():
            state.diverged = watch.see(state.step, self.update())
            state.step += 1
            logged, save = self.logs_at(state.step), self.path is not None and saving.due()
            if logged or save or state.diverged:
                state.diverged = state.diverged or watch.look()
                state.train_seconds += time.perf_counter() - since
                if logged and not state.diverged:
                    self.log()
                if save:
                    self._save()
                since = time.perf_counter()
            if showing.due():
                self.progress(state.step, self.total)
                shown = state.step
        state.diverged = state.diverged or watch.look()
        state.train_seconds += time.perf_counter() - since
        if shown != state.step:
            self.progress(state.step, self.total)

    def row(self) -> Row:
        """The columns that every row begins with."""
        step, samples = self.state.step, self.n_samples
        epoch = step / self.config.steps_per_epoch(samples)
        return {"step": step, "epoch": epoch, "lr": learning_rate(self.config, step, samples)}

    def append(self, row: Row) -> None:
        """Keep a row, with the time that its updates took beside it."""
        self.state.rows.append(row)
        self.state.row_seconds.append(self.state.train_seconds)

    def set_rate(self) -> None:
        """Give the optimizer the rate of this step."""
        rate = learning_rate(self.config, self.state.step, self.n_samples)
        for group in self.state.optimizer.param_groups:
            group["lr"] = rate

    def _save(self) -> None:
        if self.path is not None:
            save_state(self.path, self.state, self.identity)


class PatientLoop(Loop):
    """A loop that looks at validation samples, and ends when they have not gained for a while.

    Every row has a `valid_loss`.

    Args:
        stopping: how often it looks, and how long without a gain ends it.
    """

    def __init__(self, *args: Any, stopping: Stopping, **kwargs: Any) -> None:
        self.stopping = stopping
        super().__init__(*args, **kwargs)

    def watch(self) -> Watch:
        # A loss that is no number; patience ends the others.
        return Watch.on(self.state.device, math.inf)

    @property
    def stopped(self) -> bool:
        """Whether patience has ended the run."""
        steps = [int(row["step"] or 0) for row in self.state.rows]
        return self.stopping.ends(steps, self._valid_losses)

    @property
    def done(self) -> bool:
        return super().done or self.stopped

    @property
    def best_look(self) -> int:
        """The number of the row with the least validation loss."""
        return best(self._valid_losses)

    @property
    def _valid_losses(self) -> list[float]:
        losses = (float(row[f"{VALID}_loss"] or 0.0) for row in self.state.rows)
        return [loss if math.isfinite(loss) else math.inf for loss in losses]


@dataclass
class _Clock:
    """Ticks for things that happen now and then."""

    every: float
    last: float = 0.0

    def due(self) -> bool:
        now = time.perf_counter()
        if now - self.last < self.every:
            return False
        self.last = now
        return True
