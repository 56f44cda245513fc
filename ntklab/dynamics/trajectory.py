"""A predicted run: where linearized training is at given times."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.dynamics.modes import Modes
from ntklab.errors import InputError


@dataclass(frozen=True, eq=False)
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

    @property
    def displacement(self) -> Float[Tensor, "T"]:
        """‖θ_t − θ_0‖ of the linearized run: the RKHS radius B_t of its function (eq 19)."""
        return self.coordinates.norm(dim=1)

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
