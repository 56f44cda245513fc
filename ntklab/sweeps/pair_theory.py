"""What the kernel at the start predicts of a run, beside what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ntklab.adapters import Adapter
from ntklab.bounds import cross_entropy_bound
from ntklab.dynamics import (
    Trajectory,
    lazy_index,
    linearize,
    parameter_norm,
    regime_of_rows,
    total_degree,
)
from ntklab.jacobians import jacobian
from ntklab.spectra import Spectrum, spectrum
from ntklab.sweeps.pair_bounds import kernel_bounds
from ntklab.training import Data, Run, TrainConfig, one_hot, stability_limit

#: Rows N·C up to which the kernel of all training samples is taken apart.
MOST_ROWS = 4096
#: Modes whose share of the loss is kept in a record, the largest eigenvalues first.
KEPT_MODES = 12

_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Theory:
    """The kernel at the start with all that a prediction needs.

    Attributes:
        spectrum: of the kernel that the loss sees (centred for cross-entropy), with eigenvectors.
        outputs: f_0 on the training samples, shape (N, C).
        targets: labels (N,).
        norm: ‖θ_0‖.
        degree: D of the head, None where it has none.
    """

    spectrum: Spectrum
    outputs: Tensor
    targets: Tensor
    norm: float
    degree: int | None

    @classmethod
    def at_start(cls, model: nn.Module, head: Adapter, data: Data, loss: str) -> "Theory | None":
        """Taken before training; None where the kernel has more than `MOST_ROWS` rows."""
        with torch.no_grad():
            outputs = model(data.inputs).double()
        if outputs.numel() > MOST_ROWS:
            return None
        found = spectrum(
            jacobian(model, data.inputs), centred=loss == "cross-entropy", vectors=True
        )
        degree = None if model is not head else total_degree(head)
        return cls(found, outputs, data.targets, parameter_norm(head), degree)

    def half_limit(self, config: TrainConfig) -> float:
        """Half the rate at which plain gradient descent on the linearized model diverges."""
        return 0.5 * stability_limit(config, len(self.outputs), self.spectrum.lambda_max)

    def residual(self, loss: str) -> Tensor:
        """y − f_0 as far as the loss sees it, shape (N, C)."""
        left = one_hot(self.targets, self.outputs.shape[1], torch.float64) - self.outputs
        return left if loss == "squared" else left - left.mean(1, keepdim=True)

    def trajectory(self, config: TrainConfig, steps: Sequence[int]) -> Trajectory:
        """Linearized training at these steps: descent where that is stable, gradient flow else."""
        dynamics = linearize(
            self.spectrum,
            self.outputs.cpu(),
            self.targets.cpu(),
            loss=config.loss,
            reduction=config.reduction,
        )
        if config.lr < 2 * self.half_limit(config):
            return dynamics.descent(steps, config.lr)
        times = [config.lr * step for step in steps]
        if config.loss == "squared":
            return dynamics.flow(times)
        return dynamics.flow(times, tolerance=1e-6)  # type: ignore[call-arg]


def prediction_rows(
    theory: Theory, run: Run, trajectory: Trajectory
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Figures of the prediction for a row, and its curves.

    Returns:
        The row: `predicted_loss` at the end; `prediction_error`, the largest |measured −
        predicted| over the logged steps in units of the initial loss; `lambda_max`, `lambda_min`
        of the kernel that the loss sees; `lambda_min_envelope` and `mended_bound` at the end;
        the bounds of `ntklab.sweeps.pair_bounds.kernel_bounds`, each with whether vacuous.
        Curves: `predicted_loss`, `lambda_min_envelope`, `mended_bound` (NaN where refused),
        `mode_losses` (T, modes; squared loss only), `mode_eigenvalues`.
    """
    config, s = run.config, theory.spectrum
    measured = np.array([row["train_loss"] for row in run.rows], dtype=np.float64)
    predicted = trajectory.loss.numpy()
    start = max(float(measured[0]), _TINY)
    envelope = _envelope(theory, config, run, start)
    mended = _mended(theory, config, run, start)
    row = {
        "predicted_loss": float(predicted[-1]),
        "prediction_error": float(np.max(np.abs(measured - predicted)) / start),
        "kernel_rank": s.rank,
        "lambda_max": s.lambda_max,
        "lambda_min": s.lambda_min,
        "lambda_min_envelope": float(envelope[-1]),
        "mended_bound": None if np.isnan(mended[-1]) else float(mended[-1]),
        **kernel_bounds(s, theory.residual(config.loss), config.seed),
    }
    arrays = {
        "predicted_loss": predicted,
        "lambda_min_envelope": envelope,
        "mended_bound": mended,
        "mode_eigenvalues": trajectory.modes.eigenvalues[:KEPT_MODES].numpy(),
    }
    if trajectory.mode_losses is not None:
        arrays["mode_losses"] = trajectory.mode_losses[:, :KEPT_MODES].contiguous().numpy()
    return row, arrays


def certificate(
    theory: Theory | None, run: Run, trajectory: Trajectory | None, optimizer: str
) -> dict[str, Any]:
    """The verdict "NTK regime: yes / no, because …" as columns; empty where nothing was measured.

    The lazy index is the relative displacement of the linearized run over the same steps.
    """
    figures: dict[str, Any] = {"optimizer": optimizer, "diverged": run.divergence is not None}
    if theory is not None and trajectory is not None and theory.norm > 0:
        figures |= {"lazy_index": float(trajectory.displacement[-1]) / theory.norm}
        figures |= {"degree": theory.degree}
    elif not any(row.get("drift") is not None for row in run.rows):
        return {"ntk_regime": None, "ntk_regime_because": "nothing was measured or predicted"}
    return regime_of_rows(run.rows, **figures).as_row()


def full_lazy_index(theory: Theory, loss: str) -> float:
    """√(r_0ᵀK_0⁺r_0)/‖θ_0‖: how far the linearized model must go to fit all it can (theory P5)."""
    modes_of = linearize(theory.spectrum, theory.outputs.cpu(), theory.targets.cpu(), loss=loss)  # type: ignore[arg-type]
    return lazy_index(modes_of.modes, theory.residual(loss), theory.norm).index


def _envelope(theory: Theory, config: TrainConfig, run: Run, start: float) -> np.ndarray:
    """Eq 10 as the paper reads it: e^(−2cλ_min η t) on squared loss; for CE half that exponent."""
    c = 1.0 / len(theory.outputs)
    power = 2.0 if config.loss == "squared" else 1.0
    times = np.array([config.lr * row["step"] for row in run.rows])  # type: ignore[operator]
    return start * np.exp(-power * c * theory.spectrum.lambda_min * times)


def _mended(theory: Theory, config: TrainConfig, run: Run, start: float) -> np.ndarray:
    """The bound that holds for the loss: Γ⁻¹ for cross-entropy; the envelope for squared loss."""
    samples, outputs = theory.outputs.shape
    if config.loss == "squared":
        return _envelope(theory, config, run, start)
    values = [
        cross_entropy_bound(
            theory.spectrum,
            initial_loss=samples * start,
            time=config.lr * float(row["step"] or 0) / samples,
            n_samples=samples,
            n_outputs=outputs,
        ).value
        for row in run.rows
    ]
    return np.array([np.nan if value is None else value / samples for value in values])
