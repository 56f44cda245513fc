"""Linearized training with cross-entropy: an ordinary differential equation in function space."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.display import ShortRepr
from ntklab.dynamics.modes import Modes
from ntklab.dynamics.trajectory import Trajectory
from ntklab.errors import InputError
from ntklab.spectra import JacobianLike, Spectrum


@dataclass(frozen=True, eq=False, repr=False)
class CrossEntropyDynamics(ShortRepr):
    """Linearized training on L = c Σ_n −ln softmax(f_n)[y_n].

    ḟ = −c K (p − e_y). Since p − e_y has mean zero over a sample's outputs and softmax ignores
    that mean, only the centred kernel K_c = V diag(λ) Vᵀ acts. With f = f_0 + V √λ b this is the
    gradient flow of L in b, ḃ = −c √λ Vᵀ (p − e_y): rank K_c equations, at most N (C − 1), whose
    Jacobian −c √λ Vᵀ (diag p − ppᵀ) V √λ is symmetric and known. There is no exponential rate
    (theory P9): late losses fall as 1/t.

    Attributes:
        modes: of the centred kernel.
        start: f_0, shape (N, C).
        labels: y, shape (N,).
        scale: c, 1/N for a mean over samples and 1 for their sum.
    """

    modes: Modes
    start: Float[Tensor, "N C"]
    labels: Int[Tensor, "N"]
    scale: float

    @classmethod
    @takes_arrays
    def of(
        cls,
        kernel: Spectrum | JacobianLike | Float[Tensor, "NC NC"] | Modes,
        outputs: Float[Tensor, "N C"],
        labels: Int[Tensor, "N"],
        *,
        scale: float = 1.0,
    ) -> "CrossEntropyDynamics":
        """The dynamics that start at given outputs.

        Args:
            kernel: K at the start; a spectrum must be centred (`spectrum(…, centred=True)`).
            outputs: f_0.
            labels: classes 0..C − 1.
            scale: c.

        Raises:
            InputError: shapes that do not fit, or c ≤ 0.

        Example:
            One sample of two classes whose margin has kernel 1: z + e^z = 1 + t (theory P9).

            >>> K, f0, y = 0.5 * torch.eye(2), torch.zeros(1, 2), torch.tensor([1])
            >>> run = CrossEntropyDynamics.of(K, f0, y).flow([100.0])
            >>> z = run.outputs[0, 1] - run.outputs[0, 0]
            >>> round((z + z.exp()).item(), 4)
            101.0
        """
        if not scale > 0:
            raise InputError(f"scale = {scale} must be positive: 1/N for a mean loss, 1 for a sum.")
        if outputs.ndim != 2 or tuple(labels.shape) != (len(outputs),):
            raise InputError(
                f"outputs of shape {tuple(outputs.shape)} and labels of shape "
                f"{tuple(labels.shape)}: give (N, C) and (N,)."
            )
        modes = kernel
        if not isinstance(modes, Modes):
            modes = Modes.of(kernel, n_outputs=outputs.shape[1], centred=True)  # type: ignore[arg-type]
        if not modes.centred or len(modes.vectors) != outputs.numel():
            raise InputError(
                f"cross-entropy dynamics need the centred modes of a kernel of {outputs.numel()} "
                "rows: build them with Modes.of(kernel, n_outputs=C, centred=True)."
            )
        f0 = outputs.detach().to("cpu", torch.float64)
        return cls(modes, f0, labels.detach().cpu(), float(scale))

    def flow(
        self, times: Sequence[float] | Tensor, *, tolerance: float = 1e-9, method: str = "LSODA"
    ) -> Trajectory:
        """Gradient flow, by scipy's `solve_ivp`.

        Args:
            times: t ≥ 0, in any order.
            tolerance: relative tolerance, and absolute tolerance in the outputs.
            method: LSODA goes over to a stiff method where one is needed; BDF and Radau are stiff.

        Raises:
            InputError: negative times, or a solver that gives up (its message is in the sentence).

        Cost: some hundreds of evaluations, N·C·rank multiply-adds each, and some tens of
        Jacobians, N·C·rank².
        """
        t = torch.as_tensor(times, dtype=torch.float64).reshape(-1)
        if len(t) == 0 or not bool((t >= 0).all()):
            raise InputError("times must be a non-empty list of t ≥ 0.")
        order, inverse = torch.unique(t, return_inverse=True)
        states = np.zeros((len(order), self.modes.rank))
        if float(order[-1]) > 0 and self.modes.rank:
            states = self._solve(order.numpy(), tolerance, method)
        return self._trajectory(t, torch.from_numpy(states)[inverse])

    def descent(self, steps: Sequence[int] | Tensor, lr: float) -> Trajectory:
        """Gradient descent with step size η on the linearized model, step by step.

        Args:
            steps: numbers of updates k ≥ 0, in any order.
            lr: η.

        Cost: 2 N·C·rank multiply-adds a step up to the largest.
        """
        wanted = torch.as_tensor(steps, dtype=torch.int64).reshape(-1)
        force, at_step, b = _Force(self), {}, np.zeros(self.modes.rank)
        needed = set(wanted.tolist())
        for step in range(int(wanted.max()) + 1):
            if step in needed:
                at_step[step] = b
            b = b + lr * force(0.0, b)
        states = torch.from_numpy(np.stack([at_step[step] for step in wanted.tolist()]))
        return self._trajectory(lr * wanted.double(), states)

    def _solve(self, times: NDArray, tolerance: float, method: str) -> NDArray:
        from scipy.integrate import solve_ivp

        force = _Force(self)
        solution = solve_ivp(
            force,
            (0.0, float(times[-1])),
            np.zeros(self.modes.rank),
            method=method,
            t_eval=times,
            jac=force.jacobian,
            rtol=tolerance,
            # An error of this size in b is one of `tolerance` in the outputs, √λ b.
            atol=tolerance / float(self.modes.eigenvalues[0]) ** 0.5,
        )
        if not solution.success:
            raise InputError(
                f"the solver {method} gave up at t = {solution.t[-1] if len(solution.t) else 0:.3g}"
                f" ({solution.message}): ask for earlier times or a looser tolerance."
            )
        return solution.y.T

    def _trajectory(self, times: Tensor, states: Tensor) -> Trajectory:
        moved = (states * self.modes.eigenvalues.sqrt()) @ self.modes.vectors.T
        outputs = self.start.reshape(1, -1) + moved
        logits = outputs.reshape(len(states), *self.start.shape)
        labels = self.labels.expand(len(states), -1).unsqueeze(-1)
        loss = -logits.log_softmax(-1).gather(-1, labels).sum((1, 2)) * self.scale
        return Trajectory(times, loss, states, outputs, self.modes)


class _Force:
    """ḃ and its Jacobian, in numpy for scipy."""

    def __init__(self, dynamics: CrossEntropyDynamics) -> None:
        modes = dynamics.modes
        self.factor = (modes.vectors * modes.eigenvalues.sqrt()).numpy()  # V √λ
        self.start, self.scale = dynamics.start.numpy(), dynamics.scale
        self.wanted = np.eye(self.start.shape[1])[dynamics.labels.numpy()]

    def __call__(self, t: float, b: NDArray) -> NDArray:
        return -self.scale * (self.factor.T @ (self._softmax(b) - self.wanted).ravel())

    def jacobian(self, t: float, b: NDArray) -> NDArray:
        p = self._softmax(b)
        blocks = self.factor.reshape(*p.shape, -1)
        mean = np.einsum("nc,ncr->nr", p, blocks)
        weighted = (p[..., None] * (blocks - mean[:, None])).reshape(self.factor.shape)
        return -self.scale * (self.factor.T @ weighted)

    def _softmax(self, b: NDArray) -> NDArray:
        logits = self.start + (self.factor @ b).reshape(self.start.shape)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)
