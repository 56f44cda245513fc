"""Training of any model on samples: minibatch, loss, gradient, update, and what is measured."""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from ntklab import accelerator
from ntklab.adapters.adapter import trainable
from ntklab.dynamics import stability_limit
from ntklab.errors import InputError
from ntklab.tasks import feature_hash
from ntklab.training.config import TrainConfig, learning_rate, log_steps
from ntklab.training.data import Data, Dataset
from ntklab.training.divergence import Divergence, Watch, largest_eigenvalue
from ntklab.training.latent import check_redrawable, redraw
from ntklab.training.loop import Loop, Progress
from ntklab.training.losses import check_targets, loss_function
from ntklab.training.measure import evaluate
from ntklab.training.run import Moment, Observer, Run
from ntklab.training.seeds import stream
from ntklab.training.state import State


def train(
    model: nn.Module,
    data: Dataset,
    config: TrainConfig,
    *,
    folder: Path | str | None = None,
    observers: Iterable[Observer] = (),
    lambda_max: Callable[[], float] | None = None,
    checkpoint_seconds: float = 30.0,
    progress: Progress | None = None,
) -> Run:
    """Train a model in place, and measure as it goes.

    Batches, latents and dropout depend on `config.seed` alone: two runs are equal bit for bit on
    one machine, with the same number of threads, and torch's global random state is left as it
    was. Steps run in training mode (BatchNorm uses and updates batch statistics, as the released
    code does), measurements in evaluation mode; the mode is put back afterwards.

    Args:
        model: inputs (n, …) to outputs (n, C); parameters that require gradients are trained.
        data: `Data`, a task, a pair (inputs, targets) or a DataLoader of pairs; moved to the
            model's device and dtype.
        config: what decides the numbers.
        folder: where the checkpoint lives. A folder with one resumes, bit for bit, provided that
            model, data and configuration are those of its start.
        observers: called at every logged step in evaluation mode; what they return joins the row.
        lambda_max: λ_max(K) for the stability limit of a run that diverged; through the Jacobian
            at the starting parameters if None.
        checkpoint_seconds: time between checkpoints; 0 writes one after every step. Ctrl-C, the
            end and divergence write one too.
        progress: called with (steps done, all steps), at most ten times a second.

    Returns:
        The run; a diverged one ends early and says so in `divergence`.

    Raises:
        InputError: nothing to train, targets that do not fit, a folder of another run.
        KeyboardInterrupt: after the checkpoint was written.

    Cost: one forward and backward pass a step; a logged step passes over all samples once (times
    `evaluation_latents`).

    Example:
        >>> data = Data(torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]]))
        >>> config = TrainConfig(optimizer="gd", lr=0.3, steps=50, loss="squared")
        >>> model = nn.Linear(1, 1, bias=False)
        >>> run = train(model, data, config)
        >>> round(model.weight.item(), 6), run.rows[-1]["train_loss"] < 1e-9
        (2.0, True)
    """
    before = {part: part.training for part in model.modules()}
    try:
        trainer = _Trainer(model, Data.of(data), config, folder, tuple(observers), progress)
        trainer.run(checkpoint_seconds)
        return trainer.result(lambda_max)
    finally:
        for part, mode in before.items():
            part.training = mode


class _Trainer(Loop):
    def __init__(
        self,
        model: nn.Module,
        data: Data,
        config: TrainConfig,
        folder: Path | str | None,
        observers: tuple[Observer, ...],
        progress: Progress | None,
    ) -> None:
        params = trainable(model)
        if not params:
            raise InputError("the model has no trainable parameters: set requires_grad on some.")
        first = next(iter(params.values()))
        device = first.device
        self.model, self.observers = model, observers
        self.parameters = list(params.values())
        self.data = data.to(device, first.dtype)
        self.loss = loss_function(config)
        self.latents = check_redrawable(model) if config.latent == "redrawn" else []
        state = State(
            model,
            make_optimizer(config, self.parameters, device),
            stream(config.seed, "latent"),
            device,
            {name: value.detach().clone() for name, value in params.items()},
        )
        super().__init__(
            state, config, data.n_samples, home=device, folder=folder, progress=progress
        )
        self.logged = set(log_steps(self.total, config.logs_per_decade))

    def describe(self) -> dict[str, object]:
        inputs = {name: feature_hash(_Nothing(), x.cpu()) for name, x, _ in self.data.splits()}
        targets = {name: feature_hash(_Nothing(), y.cpu()) for name, _, y in self.data.splits()}
        empty = self.data.inputs[:0].cpu()
        return {
            "config": self.config.to_dict(),
            "inputs": inputs,
            "targets": targets,
            "start of the model": feature_hash(self.model, empty),
        }

    def watch(self) -> Watch:
        return Watch.on(self.state.device, self._initial_loss)

    def logs_at(self, step: int) -> bool:
        return step in self.logged

    def update(self) -> Tensor:
        state, data = self.state, self.data
        rows = self.batches.rows(state.step)
        x, y = (
            (data.inputs, data.targets) if rows is None else (data.inputs[rows], data.targets[rows])
        )
        if self.latents:
            redraw(self.latents, state.latents)
        if self.config.schedule != "constant":
            self.set_rate()
        loss = self.loss(self.model(x), y)
        loss.backward()
        state.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None  # what zero_grad does, without its bookkeeping
        return loss

    def log(self) -> None:
        self.model.eval()
        if self.state.step == 0:
            self._check_outputs()
        row = self.row() | evaluate(self.model, self.data, self.config, self.state.step)
        for observer in self.observers:
            row |= observer(Moment(self.state.step, self.model, dict(row)))
        self.model.train()
        self.append(row)

    def _check_outputs(self) -> None:
        with torch.no_grad():
            outputs = self.model(self.data.inputs[:1])
        for _, _, targets in self.data.splits():
            check_targets(self.config, outputs, targets)

    @property
    def _initial_loss(self) -> float:
        return float(self.state.rows[0]["train_loss"] or 0.0)

    def result(self, lambda_max: Callable[[], float] | None) -> Run:
        state = self.state
        return Run(
            config=self.config,
            rows=tuple(state.rows),
            seconds=tuple(state.row_seconds),
            steps=state.step,
            train_seconds=state.train_seconds,
            start=state.start,
            divergence=self._divergence(lambda_max) if state.diverged else None,
        )

    def _divergence(self, lambda_max: Callable[[], float] | None) -> Divergence:
        assert self.state.diverged is not None
        step, last_loss = self.state.diverged
        largest = self._largest_eigenvalue() if lambda_max is None else lambda_max()
        limit = None
        if largest is not None and largest > 0:
            loss, reduction = self.config.loss, self.config.reduction
            samples = self.data.n_samples
            limit = stability_limit(largest, samples, loss=loss, reduction=reduction)
        lr = learning_rate(self.config, step, self.data.n_samples)
        return Divergence(step, last_loss, self._initial_loss, lr, limit)

    def _largest_eigenvalue(self) -> float | None:
        """λ_max at the start; the parameters where the run ended come back after."""
        params = trainable(self.model)
        ended = {name: value.detach().clone() for name, value in params.items()}
        self.model.eval()
        try:
            _write(params, self.state.start)
            return largest_eigenvalue(self.model, self.data.inputs)
        except (InputError, RuntimeError):
            return None  # the sentence then says that no limit is known
        finally:
            _write(params, ended)


@torch.no_grad()
def _write(params: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    for name, value in params.items():
        value.copy_(values[name])


def make_optimizer(
    config: TrainConfig, params: list[Tensor], device: torch.device
) -> torch.optim.Optimizer:
    """The optimizer that a configuration names, over these parameters."""
    # Fused steps are one kernel for all parameters: three times as fast on small heads.
    options = {
        "lr": config.lr,
        "weight_decay": config.weight_decay,
        "fused": accelerator.has_fused_optimizers(device),
    }
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.SGD
    return kind(params, **options)  # type: ignore[arg-type]


class _Nothing(nn.Module):
    """A module without tensors, so that the hash of what it is shown is of the tensor alone."""
