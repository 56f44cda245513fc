"""The kernel's prediction of a run beside what was measured: columns and curves."""

from typing import Any

import numpy as np

from ntklab.bounds import cross_entropy_bound, decay_rate
from ntklab.dynamics import KernelAtStart, Trajectory
from ntklab.experiments.training.heads.bounds import kernel_bounds
from ntklab.training import Run

#: Modes whose share of the loss is kept in a record, the largest eigenvalues first.
KEPT_MODES = 12

_TINY = 1e-300


def prediction_rows(
    kernel: KernelAtStart, run: Run, trajectory: Trajectory
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Figures of the prediction for a row, and its curves.

    Returns:
        The row: `predicted_loss` at the end; `prediction_error`, the largest |measured −
        predicted| over the logged steps in units of the initial loss; `lambda_max`, `lambda_min`
        of the kernel that the loss sees; `lambda_min_envelope` and `mended_bound` at the end;
        the bounds of `heads.bounds.kernel_bounds`, each with whether vacuous.
        Curves: `predicted_loss`, `lambda_min_envelope`, `mended_bound` (NaN where refused),
        `mode_losses` (T, modes; squared loss only), `mode_eigenvalues`.
    """
    s = kernel.spectrum
    measured = np.array([row["train_loss"] for row in run.rows], dtype=np.float64)
    predicted = trajectory.loss.numpy()
    start = max(float(measured[0]), _TINY)
    envelope = _envelope(kernel, run, start)
    mended = envelope if kernel.loss == "squared" else _cross_entropy(kernel, run, start)
    row = {
        "predicted_loss": float(predicted[-1]),
        "prediction_error": float(np.max(np.abs(measured - predicted)) / start),
        "kernel_rank": s.rank,
        "lambda_max": s.lambda_max,
        "lambda_min": s.lambda_min,
        "lambda_min_envelope": float(envelope[-1]),
        "mended_bound": None if np.isnan(mended[-1]) else float(mended[-1]),
        **kernel_bounds(s, kernel.residual(), run.config.seed),
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


def _envelope(kernel: KernelAtStart, run: Run, start: float) -> np.ndarray:
    """Eq 10 of the loss: what holds of the squared loss, and what the paper says of the other.

    The paper's rate is λ_min. Of cross-entropy it is written as the paper has it, though no fixed
    kernel keeps it; of the squared loss it is the residual's rate, and the loss falls at twice it.
    """
    lr, c = run.config.lr, 1.0 / len(kernel.outputs)
    times = np.array([lr * row["step"] for row in run.rows])  # type: ignore[operator]
    lambda_min = c * kernel.spectrum.lambda_min
    rate = decay_rate(lambda_min, of="squared-loss" if kernel.loss == "squared" else "residual")
    return start * np.exp(-rate * times)


def _cross_entropy(kernel: KernelAtStart, run: Run, start: float) -> np.ndarray:
    """The bound that holds of cross-entropy under a kernel that stays, by Γ⁻¹ (theory P9)."""
    samples, outputs = kernel.outputs.shape
    values = [
        cross_entropy_bound(
            kernel.spectrum,
            initial_loss=samples * start,
            time=run.config.lr * float(row["step"] or 0) / samples,
            n_samples=samples,
            n_outputs=outputs,
        ).value
        for row in run.rows
    ]
    return np.array([np.nan if value is None else value / samples for value in values])
