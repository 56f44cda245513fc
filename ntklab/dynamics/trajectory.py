"""A predicted run: where linearized training is at given times."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.display import axes_or_new, frame_of_columns, html_rows
from ntklab.dynamics.modes import Modes
from ntklab.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Lines of a table in a notebook; the last time is always one of them.
_SHOWN = 12


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory:
    """Linearized training at T times, f(t) = f_0 + J_0 (θ_t − θ_0).

    Attributes:
        times: flow time t; η · step for gradient descent. Shape (T,).
        loss: the loss of the training samples, shape (T,).
        coordinates: b(t), the displacement θ_t − θ_0 along the right singular vectors of J_0,
            shape (T, rank). It lies in their span: nothing else moves.
        outputs: f(t) on the training samples, shape (T, N·C). For cross-entropy up to a constant
            a sample, which softmax does not see.
        modes: the modes of the kernel.
        mode_losses: each mode's share of the loss, shape (T, rank); with the constant share of
            ker K (`SquaredDynamics.floor`) they sum to it. None for cross-entropy, whose loss
            does not split.
    """

    times: Float[Tensor, "T"]
    loss: Float[Tensor, "T"]
    coordinates: Float[Tensor, "T rank"]
    outputs: Float[Tensor, "T NC"]
    modes: Modes
    mode_losses: Float[Tensor, "T rank"] | None = None

    def __repr__(self) -> str:
        """How many times, and the loss at the first and the last of them.

        Example:
            >>> from ntklab.dynamics.squared import SquaredDynamics
            >>> SquaredDynamics.of(torch.eye(2), torch.tensor([1.0, 0.0])).flow([0.0, 1.0])
            Trajectory of 2 times: t = 0 to 1, loss 0.5 to 0.0676676, 2 modes of 2 rows
        """
        t, loss = self.times, self.loss
        modes = f"{self.modes.rank} modes of {self.outputs.shape[1]} rows"
        if not len(t):
            return f"Trajectory without times, {modes}"
        return (
            f"Trajectory of {len(t)} times: t = {t[0]:.6g} to {t[-1]:.6g}, loss {loss[0]:.6g} to "
            f"{loss[-1]:.6g}, {modes}"
        )

    def _repr_html_(self) -> str:
        rows = self.to_frame().round(6).astype(str).to_numpy().tolist()
        shown = rows if len(rows) <= _SHOWN else [*rows[: _SHOWN - 1], rows[-1]]
        return html_rows(repr(self), ("time", "loss", "displacement"), shown)

    def to_frame(self) -> "pd.DataFrame":
        """One row a time: time, loss, displacement ‖θ_t − θ_0‖."""
        columns = {"time": self.times, "loss": self.loss, "displacement": self.displacement}
        return frame_of_columns({name: values.tolist() for name, values in columns.items()})

    def plot(self, axes: "Axes | None" = None, *, label: str = "linearized", **line: Any) -> "Axes":
        """The loss against the time, on a logarithmic loss axis.

        Args:
            axes: where to draw; new ones if None.
            label: of the line.
            **line: options of `Axes.plot`.

        Returns:
            The axes.
        """
        axes = axes_or_new(axes)
        axes.plot(self.times.numpy(), self.loss.numpy(), label=label, **line)
        axes.set(
            xlabel=r"time $t$ (step size $\times$ steps)", ylabel="training loss", yscale="log"
        )
        axes.legend()
        return axes

    @property
    def displacement(self) -> Float[Tensor, "T"]:
        """‖θ_t − θ_0‖ of the linearized run: the RKHS radius B_t of its function (eq 19)."""
        return self.coordinates.norm(dim=1)

    @takes_arrays
    def change_at(self, cross: Float[Tensor, "M NC"]) -> Float[Tensor, "T M"]:
        """f(t) − f_0 at other points.

        Args:
            cross: K(x*, X) at the start, rows for the other points' outputs, columns for the
                training samples' (`ntk(model, x_star, x)`).

        Raises:
            InputError: a cross kernel with another number of columns.

        Example:
            >>> from ntklab.dynamics.squared import SquaredDynamics
            >>> K = torch.tensor([[2.0]])
            >>> run = SquaredDynamics.of(K, torch.tensor([-1.0])).flow([1e3])
            >>> # half as correlated, half as far
            >>> round(run.change_at(torch.tensor([[1.0]])).item(), 12)
            0.5
        """
        K = cross.detach().to("cpu", torch.float64)
        if K.ndim != 2 or K.shape[1] != len(self.modes.vectors):
            raise InputError(
                f"a cross kernel of shape {tuple(K.shape)} does not fit {len(self.modes.vectors)} "
                "training outputs: give K(x*, X) with as many columns."
            )
        through = (K @ self.modes.vectors) / self.modes.eigenvalues.sqrt()
        return self.coordinates @ through.T
