"""Linearized training with squared loss, in closed form."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.display import ShortRepr
from ntklab.dynamics.modes import Modes
from ntklab.dynamics.trajectory import Trajectory
from ntklab.errors import InputError
from ntklab.spectra import JacobianLike, Spectrum


@dataclass(frozen=True, eq=False, repr=False)
class SquaredDynamics(ShortRepr):
    """r_t = f_t − y of linearized training on L = (c/2) ‖r‖², for any kernel, singular or not.

    With K = Σ λ_i v_i v_iᵀ: gradient flow leaves e^{−cλ_i t} of mode i, gradient descent
    (1 − ηcλ_i)^k, and the part of r_0 in ker K never moves (eq 10, mended).

    Attributes:
        modes: of K.
        coefficients: ⟨v_i, r_0⟩, shape (rank,).
        kernel_residual: the part of r_0 in ker K, shape (N·C,).
        targets: y, shape (N·C,); zero if outputs are not of interest.
        scale: c, 1/N for a mean over samples and 1 for their sum.
    """

    modes: Modes
    coefficients: Float[Tensor, "rank"]
    kernel_residual: Float[Tensor, "NC"]
    targets: Float[Tensor, "NC"]
    scale: float

    @classmethod
    @takes_arrays
    def of(
        cls,
        kernel: Spectrum | JacobianLike | Float[Tensor, "NC NC"] | Modes,
        residual: Float[Tensor, "NC"],
        *,
        targets: Float[Tensor, "NC"] | None = None,
        scale: float = 1.0,
    ) -> "SquaredDynamics":
        """The dynamics that start at a residual.

        Args:
            kernel: K at the start, see `Modes.of`.
            residual: r_0 = f_0 − y, shape (N·C,) or (N, C).
            targets: y, so that `Trajectory.outputs` are outputs; residuals without it.
            scale: c.

        Raises:
            InputError: shapes that do not fit, or c ≤ 0.

        Example:
            >>> K = torch.diag(torch.tensor([2.0, 0.0]))
            >>> run = SquaredDynamics.of(K, torch.tensor([1.0, 1.0])).descent([0, 1, 2], lr=0.25)
            >>> run.loss.tolist()
            [1.0, 0.625, 0.53125]
        """
        if not scale > 0:
            raise InputError(f"scale = {scale} must be positive: 1/N for a mean loss, 1 for a sum.")
        modes = kernel if isinstance(kernel, Modes) else Modes.of(kernel)
        coefficients, rest = modes.split(residual)
        y = torch.zeros_like(rest) if targets is None else targets.detach().cpu().double()
        if y.numel() != len(rest):
            raise InputError(f"{y.numel()} targets do not fit a residual of {len(rest)} entries.")
        return cls(modes, coefficients, rest, y.reshape(-1), float(scale))

    def flow(self, times: Sequence[float] | Tensor) -> Trajectory:
        """Gradient flow: r_t = e^{−cKt} r_0.

        Args:
            times: t ≥ 0.

        Cost: N·C·rank multiply-adds a time.
        """
        t = torch.as_tensor(times, dtype=torch.float64).reshape(-1, 1)
        exponent = -self.scale * self.modes.eigenvalues * t
        return self._trajectory(t.flatten(), exponent.exp(), -torch.expm1(exponent))

    def descent(self, steps: Sequence[int] | Tensor, lr: float) -> Trajectory:
        """Gradient descent with step size η: r_k = (1 − ηcK)^k r_0.

        Stable for η < 2/(cλ_max); above that the trajectory grows, as the loop itself would.

        Args:
            steps: numbers of updates k ≥ 0.
            lr: η.
        """
        k = torch.as_tensor(steps, dtype=torch.float64).reshape(-1, 1)
        shrink = (lr * self.scale) * self.modes.eigenvalues
        left = (1 - shrink) ** k
        # 1 − (1 − x)^k without cancellation where x is small.
        small = -torch.expm1(k * torch.log1p(-shrink.clamp(max=0.5)))
        return self._trajectory(lr * k.flatten(), left, torch.where(shrink < 0.5, small, 1 - left))

    @property
    def floor(self) -> float:
        """The loss that linearized training never gets below: (c/2) ‖P_ker r_0‖²."""
        return 0.5 * self.scale * float(self.kernel_residual.square().sum())

    def _trajectory(self, times: Tensor, left: Tensor, gone: Tensor) -> Trajectory:
        mode_losses = 0.5 * self.scale * (left * self.coefficients) ** 2
        residuals = (left * self.coefficients) @ self.modes.vectors.T + self.kernel_residual
        return Trajectory(
            times,
            mode_losses.sum(1) + self.floor,
            -gone * self.coefficients / self.modes.eigenvalues.sqrt(),
            residuals + self.targets,
            self.modes,
            mode_losses,
        )
