"""The kernel at the start of a run, and all that it predicts of the run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from ntklab.adapters import Adapter
from ntklab.arrays import tensor_of
from ntklab.display import ShortRepr
from ntklab.dynamics.cross_entropy import CrossEntropyDynamics
from ntklab.dynamics.laziness import lazy_index, parameter_norm, total_degree
from ntklab.dynamics.linearize import linearize
from ntklab.dynamics.regime import regime_of_rows
from ntklab.dynamics.squared import SquaredDynamics
from ntklab.dynamics.trajectory import Trajectory
from ntklab.jacobians import jacobian
from ntklab.jacobians.inputs import as_inputs
from ntklab.spectra import Spectrum, spectrum

Loss = Literal["squared", "cross-entropy"]

#: Rows N·C up to which the kernel of all training samples is taken apart.
MOST_ROWS = 4096


def stability_limit(
    lambda_max: float, n_samples: int, *, loss: Loss = "squared", reduction: str = "mean"
) -> float:
    """η below which plain gradient descent on the linearized model is stable.

    2/(c·curvature·λ_max). c = 1/N for a mean loss, 1 for a sum. The curvature is the largest
    second derivative of a sample's loss by its outputs: 1 for the squared loss; ½ for softmax,
    since ‖diag p − ppᵀ‖ ≤ ½, so that its limit is sufficient rather than sharp.

    Args:
        lambda_max: λ_max of the kernel.
        n_samples: N.
        loss: what is trained with.
        reduction: of the loss over the samples, "mean" or "sum".

    Example:
        >>> stability_limit(4.0, 10)
        5.0
    """
    scale = 1.0 if reduction == "sum" else 1.0 / n_samples
    return 2.0 / (scale * (1.0 if loss == "squared" else 0.5) * lambda_max)


@dataclass(frozen=True, eq=False, repr=False)
class KernelAtStart(ShortRepr):
    """The kernel before training, with all that predictions of a run need.

    Attributes:
        spectrum: of the kernel that the loss sees (centred for cross-entropy), with eigenvectors.
        outputs: f_0 on the training samples, shape (N, C), float64.
        targets: labels (N,), or values (N, C).
        loss: what is trained with.
        norm: ‖θ_0‖ of the trained parameters.
        degree: D of the head, None where it has none.
    """

    spectrum: Spectrum
    outputs: Float[Tensor, "N C"]
    targets: Shaped[Tensor, "N ..."]
    loss: Loss
    norm: float
    degree: int | None = None

    @classmethod
    def of(
        cls,
        model: nn.Module,
        inputs: Shaped[Tensor, "N ..."],
        targets: Shaped[Tensor, "N ..."],
        *,
        loss: Loss = "squared",
        head: nn.Module | None = None,
    ) -> "KernelAtStart | None":
        """The kernel of a model before training; None where it has more than `MOST_ROWS` rows.

        Args:
            model: what is trained.
            inputs: the training samples.
            targets: labels (N,), or values (N, C).
            loss: what is trained with.
            head: the adapter in the model, if another module holds it.

        Cost: one Jacobian and one spectrum with eigenvectors, of N·C rows.

        Example:
            >>> from ntklab.adapters import build_adapter
            >>> model = build_adapter("lora", 6, 2, rank=1, dtype=torch.float64)
            >>> x, y = torch.randn(5, 6).double(), torch.randint(2, (5,))
            >>> start = KernelAtStart.of(model, x, y)
            >>> run = start.trajectory([0, 1, 2], lr=0.5 * start.stability_limit())
            >>> bool(run.loss[2] < run.loss[1] < run.loss[0])
            True
        """
        x = as_inputs(inputs, model)
        targets = tensor_of(targets) if isinstance(targets, np.ndarray) else targets
        with torch.no_grad():
            outputs = model(x).double()
        if outputs.numel() > MOST_ROWS:
            return None
        head = model if head is None else head
        degree = total_degree(head) if model is head and isinstance(head, Adapter) else None
        centred = loss == "cross-entropy"
        kernel = spectrum(jacobian(model, x), centred=centred, vectors=True)
        return cls(kernel, outputs, targets, loss, parameter_norm(head), degree)

    def stability_limit(self, reduction: str = "mean") -> float:
        """η below which plain gradient descent on the linearized model is stable."""
        largest, samples = self.spectrum.lambda_max, len(self.outputs)
        return stability_limit(largest, samples, loss=self.loss, reduction=reduction)

    def residual(self) -> Float[Tensor, "N C"]:
        """y − f_0 as far as the loss sees it: for cross-entropy less its mean over the outputs."""
        y = self.targets
        if not y.is_floating_point():
            y = nn.functional.one_hot(y, self.outputs.shape[1])
        left = y.double() - self.outputs
        return left if self.loss == "squared" else left - left.mean(1, keepdim=True)

    def linearized(
        self, reduction: Literal["mean", "sum"] = "mean"
    ) -> SquaredDynamics | CrossEntropyDynamics:
        """Linearized training from this start (`ntklab.linearize`), on the CPU."""
        outputs, targets = self.outputs.cpu(), self.targets.cpu()
        return linearize(self.spectrum, outputs, targets, loss=self.loss, reduction=reduction)

    def trajectory(
        self, steps: Sequence[int], *, lr: float, reduction: Literal["mean", "sum"] = "mean"
    ) -> Trajectory:
        """Linearized training at these steps: descent where that is stable, gradient flow else.

        Args:
            steps: updates made.
            lr: η of gradient descent.
            reduction: of the loss over the samples.
        """
        dynamics = self.linearized(reduction)
        if lr < self.stability_limit(reduction):
            return dynamics.descent(steps, lr)
        times = [lr * step for step in steps]
        if isinstance(dynamics, CrossEntropyDynamics):
            return dynamics.flow(times, tolerance=1e-6)
        return dynamics.flow(times)

    def lazy_index(self) -> float:
        """√(r_0ᵀK_0⁺r_0)/‖θ_0‖: how far the linearized model must go to fit all it can (P5)."""
        return lazy_index(self.linearized().modes, self.residual(), self.norm).index


def certificate(
    start: KernelAtStart | None,
    trajectory: Trajectory | None,
    rows: Iterable[Mapping[str, object]],
    *,
    optimizer: str,
    diverged: bool = False,
) -> dict[str, Any]:
    """The verdict "NTK regime: yes / no, because …" as columns.

    Args:
        start: the kernel before training, if it was taken apart.
        trajectory: the linearized run over the same steps; its relative displacement is the lazy
            index.
        rows: of the measured run, with the columns of `TangentObserver` where it watched.
        optimizer: "gd", "sgd" or "adam".
        diverged: whether the run diverged.

    Returns:
        The columns of `Regime`; the verdict None where nothing was measured or predicted.
    """
    rows = list(rows)
    figures: dict[str, Any] = {"optimizer": optimizer, "diverged": diverged}
    if start is not None and trajectory is not None and start.norm > 0:
        figures |= {"lazy_index": float(trajectory.displacement[-1]) / start.norm}
        figures |= {"degree": start.degree}
    elif not any(row.get("drift") is not None for row in rows):
        return {"ntk_regime": None, "ntk_regime_because": "nothing was measured or predicted"}
    return regime_of_rows(rows, **figures).as_row()
