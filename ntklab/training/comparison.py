"""Linearized training beside a measured run of any model, in one call."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ntklab.display import axes_or_new, frame_of, html_table
from ntklab.dynamics import KernelAtStart, Regime, TangentObserver, Trajectory, regime_of_rows
from ntklab.dynamics.at_start import MOST_ROWS
from ntklab.errors import InputError
from ntklab.jacobians import ntk
from ntklab.training.config import TrainConfig, learning_rate
from ntklab.training.data import Data, Dataset
from ntklab.training.losses import loss_function
from ntklab.training.measure import outputs_of
from ntklab.training.run import Run
from ntklab.training.supervised import train

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """A measured run beside what the kernel at its start predicts of it.

    Attributes:
        run: the measured run.
        prediction: linearized training at the logged steps.
        regime: whether the kernel at the start describes this run, and why.
        predicted: loss of the linearized model at the logged steps, by the name of the samples:
            `train`, then every test set.
        start: the kernel before training.
        model: the trained copy; the model that was given is as it was.
    """

    run: Run
    prediction: Trajectory
    regime: Regime
    predicted: dict[str, list[float]]
    start: KernelAtStart
    model: nn.Module

    def __repr__(self) -> str:
        """Measured and predicted loss at the end, and the certificate."""
        pairs = ", ".join(f"{name} {text}" for name, text in self._at_the_end().items())
        return f"Comparison after {self.run.steps} steps: {pairs}. {self.regime}"

    def _repr_html_(self) -> str:
        return html_table(f"After {self.run.steps} steps. {self.regime}", self._at_the_end())

    def _at_the_end(self) -> dict[str, str]:
        final = self.run.final
        return {
            f"{name} loss": f"{final[f'{name}_loss']:.4g} measured, {values[-1]:.4g} predicted"
            for name, values in self.predicted.items()
        }

    def to_frame(self) -> "pd.DataFrame":
        """One row a logged step: what was measured, and `*_loss_predicted` beside it."""
        rows = []
        for place, row in enumerate(self.run.rows):
            beside = {f"{name}_loss_predicted": v[place] for name, v in self.predicted.items()}
            rows.append({**row, **beside})
        return frame_of(rows)

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Measured losses as markers, predicted ones as lines of the same colour.

        Args:
            axes: where to draw; new ones if None.

        Returns:
            The axes, with the verdict of the certificate as their title.
        """
        axes = axes_or_new(axes)
        steps = [float(row["step"] or 0) + 1 for row in self.run.rows]
        for name, values in self.predicted.items():
            measured = [float(row[f"{name}_loss"] or math.nan) for row in self.run.rows]
            (dots,) = axes.plot(steps, measured, "o", label=f"{name}, measured")
            axes.plot(steps, values, color=dots.get_color(), label=f"{name}, linearized")
        axes.set(xscale="log", yscale="log", xlabel="step + 1")
        axes.set_ylabel(f"{self.run.config.loss} loss")
        axes.set_title(f"NTK regime: {'yes' if self.regime.valid else 'no'}")
        axes.legend()
        return axes


def compare(
    model: nn.Module,
    data: Dataset,
    config: TrainConfig | None = None,
    *,
    watched: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Train a copy of any model, and set linearized training from the same start beside it.

    The prediction is gradient descent on the linearized model, or gradient flow over the same
    Σ η where η changes or is past the stability limit. It holds of a run of Adam or of small
    batches only as far as the certificate says.

    Args:
        model: inputs (n, …) to outputs (n, C); parameters that require gradients are trained.
        data: `Data`, a task, a pair (inputs, targets) of tensors or numpy arrays, or a DataLoader
            of such pairs; labels (N,) or values (N, C).
        config: of the run; 100 steps of gradient descent at half the stability limit if None, by
            cross-entropy for labels and the squared loss for values.
        watched: training samples on which the drift of the kernel is measured.
        progress: called with (steps done, all steps).

    Returns:
        The run, the prediction and the certificate.

    Raises:
        InputError: data that do not fit, more than 4096 rows N·C, or a run that the linearized
            model says nothing of: weight decay, or a latent that is redrawn.

    Cost: one spectrum with eigenvectors of N·C rows, a cross kernel with every test set, the
    training, and a Jacobian of the watched samples at each logged step.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> x, y = torch.randn(12, 3).double(), torch.randn(12, 1).double()
        >>> wide = nn.Sequential(nn.Linear(3, 512), nn.Tanh(), nn.Linear(512, 1)).double()
        >>> beside = compare(wide, (x, y))
        >>> bool(abs(beside.predicted["train"][-1] / beside.run.final["train_loss"] - 1) < 0.05)
        True
    """
    first = next((p for p in model.parameters() if p.requires_grad), None)
    if first is None:
        raise InputError("the model has no trainable parameters: set requires_grad on some.")
    data = Data.of(data).to(first.device, first.dtype)
    loss = _loss(config, data)
    trained = deepcopy(model).eval()
    start = KernelAtStart.of(trained, data.inputs, data.targets, loss=loss)
    if start is None:
        raise InputError(
            f"{data.n_samples} samples give more than {MOST_ROWS} rows N·C, too many to take the "
            "kernel apart: give fewer samples."
        )
    if config is None:
        lr = 0.5 * start.stability_limit()
        config = TrainConfig(optimizer="gd", lr=lr, steps=100, loss=loss)
    _refuse_what_is_not_predicted(config)
    watch = TangentObserver(trained, data.inputs, data.targets, loss=loss, samples=watched)
    origins = {name: outputs_of(trained, x) for name, x, _ in data.splits()}
    crosses = {name: ntk(trained, x, data.inputs).cpu() for name, (x, _) in data.tests.items()}
    run = train(trained, data, config, observers=[watch], progress=progress)
    prediction = _predict(start, config, run, data.n_samples)
    predicted = {"train": prediction.loss.tolist()}
    for name, (_, y) in data.tests.items():
        outputs = origins[name].cpu().double() + prediction.change_at(crosses[name]).reshape(
            len(prediction.times), *origins[name].shape
        )
        predicted[name] = [float(loss_function(config)(f, y.cpu())) for f in outputs]
    return Comparison(run, prediction, _regime(start, prediction, run), predicted, start, trained)


def _loss(config: TrainConfig | None, data: Data) -> Any:
    if config is not None:
        return config.loss
    return "squared" if data.targets.is_floating_point() else "cross-entropy"


def _refuse_what_is_not_predicted(config: TrainConfig) -> None:
    if config.weight_decay:
        raise InputError(
            f"weight_decay = {config.weight_decay:g}: linearized training has no decay to predict "
            "it; set weight_decay = 0."
        )
    if config.latent == "redrawn":
        raise InputError(
            "a latent that is redrawn has no kernel at the start: take latent='fixed'."
        )


def _predict(start: KernelAtStart, config: TrainConfig, run: Run, samples: int) -> Trajectory:
    steps = [int(row["step"] or 0) for row in run.rows]
    if config.schedule == "constant":
        return start.trajectory(steps, lr=config.lr, reduction=config.reduction)
    rates = torch.tensor([0.0, *(learning_rate(config, s, samples) for s in range(steps[-1]))])
    times = rates.double().cumsum(0)[steps].tolist()
    return start.linearized(config.reduction).flow(times)


def _regime(start: KernelAtStart, prediction: Trajectory, run: Run) -> Regime:
    figures: dict[str, Any] = {"optimizer": run.config.optimizer}
    if start.norm > 0:
        figures["lazy_index"] = float(prediction.displacement[-1]) / start.norm
        figures["degree"] = start.degree
    return regime_of_rows(run.rows, **figures, diverged=run.divergence is not None)
