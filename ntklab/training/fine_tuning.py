"""Fine-tuning with early stopping: looks at validation samples, rare looks at the test samples."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ntklab.adapters.adapter import trainable
from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.tasks import feature_hash
from ntklab.training.config import Stopping, TrainConfig, log_steps
from ntklab.training.data import Data
from ntklab.training.loop import VALID, PatientLoop, Progress
from ntklab.training.losses import accuracy, loss_function
from ntklab.training.measure import Row
from ntklab.training.run import Moment, Observer
from ntklab.training.seeds import stream
from ntklab.training.state import State
from ntklab.training.supervised import make_optimizer


@dataclass(frozen=True, eq=False, repr=False)
class FineTuning(ShortRepr):
    """A measured run with early stopping.

    Attributes:
        config: what it was run with.
        rows: one a look: `step`, `epoch`, `lr`, `train_loss` (mean over the batches since the last
            look, None at the start), `valid_loss`, `valid_accuracy`; at rare looks also loss and
            accuracy of the other test sets, and what the observers added.
        steps: updates made.
        best_step: the look whose parameters were kept.
        stopped: whether patience ended it.
        diverged: (step, loss) where the run diverged, or None.
        train_seconds: time spent on updates, over all sittings.
        final: loss and accuracy of every set with the kept parameters, `train` among them.
        outputs: of every set with the kept parameters, (n, C).
    """

    config: TrainConfig
    rows: tuple[Row, ...]
    steps: int
    best_step: int
    stopped: bool
    diverged: tuple[int, float] | None
    train_seconds: float
    final: Row
    outputs: Mapping[str, Tensor]

    @property
    def best(self) -> Row:
        """The row of the kept parameters."""
        return next(row for row in self.rows if row["step"] == self.best_step)


def finetune(
    model: nn.Module,
    data: Data,
    config: TrainConfig,
    *,
    stopping: Stopping,
    looks_per_decade: int = 2,
    observers: Iterable[Observer] = (),
    identity: str = "",
    chunk: int = 64,
    folder: Path | str | None = None,
    checkpoint_seconds: float = 30.0,
    progress: Progress | None = None,
) -> FineTuning:
    """Train in place, keep the parameters of the least validation loss, and judge by them.

    As `ntklab.training.train`, with two differences: training ends when the validation loss has
    not fallen for a while, and the other test sets, which may cost more than an epoch, are looked
    at rarely.

    Args:
        model: inputs (n, …) to outputs (n, C); parameters that require gradients are trained.
        data: its test set `valid` decides when to stop; others are judged at steps at equal
            ratios and at the end.
        config: what decides the numbers.
        stopping: how often to look at `valid`, and for how long without gain.
        looks_per_decade: looks at the other sets in each tenfold of steps.
        observers: called at those looks in evaluation mode; what they return joins the row.
        identity: of the data, where the inputs are numbers that stand for it: a resumed run must
            have the same.
        chunk: samples that are judged at a time.
        folder: where the checkpoint lives; one of this run is resumed bit for bit, another's is
            refused.
        checkpoint_seconds: time between checkpoints.
        progress: called with (steps done, all steps).

    Raises:
        InputError: a folder of another run, or nothing to train.
        KeyboardInterrupt: after the checkpoint was written.

    Cost: a forward and a backward pass a sample and step; a look one forward pass of `valid`.

    Example:
        >>> x = torch.tensor([[1.0], [2.0], [3.0]])
        >>> data = Data(x, 2 * x, {"valid": (x, 2 * x)})
        >>> config = TrainConfig(optimizer="gd", lr=0.1, steps=40, loss="squared")
        >>> run = finetune(nn.Linear(1, 1), data, config, stopping=Stopping(every=5))
        >>> run.final["valid_loss"] < 0.1 * run.rows[0]["valid_loss"]
        True
    """
    before = {part: part.training for part in model.modules()}
    try:
        trainer = _Trainer(
            model, data, config, stopping, looks_per_decade, tuple(observers), identity, chunk,
            folder, progress,
        )  # fmt: skip
        trainer.run(checkpoint_seconds)
        return trainer.result()
    finally:
        for part, mode in before.items():
            part.training = mode


class _Keeping(nn.Module):
    """The model, the best parameters so far, and the mean loss since the last look."""

    running: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.trained = trainable(model)
        for number, value in enumerate(self.trained.values()):
            self.register_buffer(f"best_{number}", value.detach().clone())
        home = next(iter(self.trained.values())).device
        self.register_buffer("running", torch.zeros(2, dtype=torch.float64, device=home))

    @torch.no_grad()
    def keep(self) -> None:
        for number, value in enumerate(self.trained.values()):
            getattr(self, f"best_{number}").copy_(value)

    @torch.no_grad()
    def restore(self) -> None:
        for number, value in enumerate(self.trained.values()):
            value.copy_(getattr(self, f"best_{number}"))


class _Trainer(PatientLoop):
    def __init__(
        self,
        model: nn.Module,
        data: Data,
        config: TrainConfig,
        stopping: Stopping,
        looks_per_decade: int,
        observers: tuple[Observer, ...],
        identity: str,
        chunk: int,
        folder: Path | str | None,
        progress: Progress | None,
    ) -> None:
        params = trainable(model)
        if not params:
            raise InputError("the model has no trainable parameters: set requires_grad on some.")
        first = next(iter(params.values()))
        self.keeping, self.data = _Keeping(model), data.to(first.device, first.dtype)
        self.observers, self.chunk = observers, chunk
        self.parameters, self.loss = list(params.values()), loss_function(config)
        self.name = identity
        state = State(
            self.keeping,
            make_optimizer(config, self.parameters, first.device),
            stream(config.seed, "latent"),
            first.device,
            {name: value.detach().clone() for name, value in params.items()},
        )
        super().__init__(
            state, config, data.n_samples,
            home=first.device, folder=folder, progress=progress, stopping=stopping,
        )  # fmt: skip
        self.rare = set(log_steps(self.total, looks_per_decade))

    def describe(self) -> dict[str, Any]:
        splits = {name: (x.cpu(), y.cpu()) for name, x, y in self.data.splits()}
        nothing = _Nothing()
        return {
            "config": self.config.to_dict(),
            "stopping": asdict(self.stopping),
            "data": self.name,
            "inputs": {name: feature_hash(nothing, x) for name, (x, _) in splits.items()},
            "targets": {name: feature_hash(nothing, y) for name, (_, y) in splits.items()},
            "start": feature_hash(_Parameters(self.parameters), self.data.inputs[:0].cpu()),
        }

    def logs_at(self, step: int) -> bool:
        return step % self.stopping.every == 0 or step in self.rare

    def update(self) -> Tensor:
        state, data = self.state, self.data
        rows = self.batches.rows(state.step)
        batch = slice(None) if rows is None else rows
        if self.config.schedule != "constant":
            self.set_rate()
        loss = self.loss(self.keeping.model(data.inputs[batch]), data.targets[batch])
        loss.backward()
        state.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None
        # Added where they are: to read the loss here would wait for the device at each step.
        self.keeping.running[0] += loss.detach()
        self.keeping.running[1] += 1
        return loss

    def log(self) -> None:
        model, step = self.keeping.model, self.state.step
        total, count = self.keeping.running.tolist()
        self.keeping.running.zero_()
        model.eval()
        row = self.row() | {"train_loss": total / count if count else None}
        row |= self._judged(VALID, self._outputs(VALID))
        if step in self.rare:
            for name in self.data.tests:
                row |= {} if name == VALID else self._judged(name, self._outputs(name))
            for observer in self.observers:
                row |= observer(Moment(step, model, dict(row)))
        model.train()
        self.append(row)
        if self.best_look == len(self.state.rows) - 1:
            self.keeping.keep()

    @torch.no_grad()
    def _outputs(self, name: str) -> Tensor:
        inputs = next(x for known, x, _ in self.data.splits() if known == name)
        return torch.cat([self.keeping.model(part) for part in inputs.split(self.chunk)])

    def _judged(self, name: str, outputs: Tensor) -> Row:
        targets = next(y for known, _, y in self.data.splits() if known == name)
        loss = self.loss(outputs.double(), targets)
        return {f"{name}_loss": float(loss), f"{name}_accuracy": accuracy(outputs, targets)}

    def result(self) -> FineTuning:
        state = self.state
        self.keeping.restore()
        self.keeping.model.eval()
        outputs = {name: self._outputs(name) for name, _, _ in self.data.splits()}
        final: Row = {}
        for name, values in outputs.items():
            final |= self._judged(name, values)
        return FineTuning(
            config=self.config,
            rows=tuple(state.rows),
            steps=state.step,
            best_step=int(state.rows[self.best_look]["step"] or 0),
            stopped=self.stopped and state.step < self.total,
            diverged=state.diverged,
            train_seconds=state.train_seconds,
            final=final,
            outputs=outputs,
        )


class _Parameters(nn.Module):
    """Tensors alone, to be hashed."""

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        super().__init__()
        for number, value in enumerate(parameters):
            self.register_buffer(f"value_{number}", value.detach())


class _Nothing(nn.Module):
    """A module without tensors, so that a hash is of the tensor beside it alone."""
