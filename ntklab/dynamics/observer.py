"""A measurement, along a run, of how far the model has left its linearization."""

import copy
from collections.abc import Mapping
from typing import Literal, Protocol

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from ntklab.arrays import takes_arrays
from ntklab.dynamics.laziness import effective_rate, kernel_drift, linearization_error
from ntklab.errors import InputError
from ntklab.jacobians import jacobian
from ntklab.jacobians.symmetric import gram_matrix
from ntklab.spectra import centre_kernel

Row = Mapping[str, float | int | None]

COLUMNS = (
    "drift",
    "kernel_max",
    "euler_bound",
    "effective_rate",
    "linearization_error",
    "displacement",
)


class HasModel(Protocol):
    """A moment of a run: `ntklab.training.Moment`, or anything else that holds a model."""

    @property
    def model(self) -> nn.Module:
        """The model in evaluation mode."""
        ...


class TangentObserver:
    """Kernel drift, effective rate, growth and linearization error at every logged step.

    Made before training, from the model at its start, of which it keeps a copy; then given to
    `train(…, observers=[observer])`. Columns that it adds, all on its own samples:

    - `drift`: ‖K_t − K_0‖/‖K_0‖, Frobenius;
    - `kernel_max`: λ_max(K_t);
    - `euler_bound`: ‖J_t θ_t‖²/‖θ_t‖² ≤ λ_max(K_t), which for homogeneous adapters is
      (D ‖f_t − base‖/‖θ_t‖)² (theory P5);
    - `effective_rate`: ρ_t = rᵀK_t r/‖r‖², r the gradient of the loss by the outputs;
    - `linearization_error`: ‖f_t − f_0 − J_0(θ_t − θ_0)‖/‖f_t − f_0‖ (eq 14);
    - `displacement`: ‖θ_t − θ_0‖/‖θ_0‖.

    Args:
        model: at its start.
        inputs: x, shape (N, …).
        targets: labels (N,), or values (N, C).
        loss: `squared` or `cross-entropy`: which r, and which kernel. What softmax does not see
            is projected out of K for cross-entropy.
        samples: at most so many rows, the first ones; all if None.
        engine: of the Jacobian.
        dtype: measured on a copy in this dtype, since a float32 model moves by less than its
            outputs' rounding at first; None measures the model itself.

    Raises:
        InputError: labels that do not fit the loss.

    Cost: one Jacobian and one kernel of N·C rows a logged step; both J_0 and K_0 are kept.

    Example:
        >>> model = nn.Linear(2, 1, bias=False).double()
        >>> observer = TangentObserver(model, torch.eye(2).double(), torch.zeros(2, 1).double())
        >>> model.weight.data += 1
        >>> row = observer.measure(model)
        >>> row["drift"], row["linearization_error"] < 1e-15
        (0.0, True)
    """

    @takes_arrays
    def __init__(
        self,
        model: nn.Module,
        inputs: Shaped[Tensor, "N ..."],
        targets: Shaped[Tensor, "N ..."],
        *,
        loss: Literal["squared", "cross-entropy"] = "squared",
        samples: int | None = None,
        engine: str = "auto",
        dtype: torch.dtype | None = torch.float64,
    ) -> None:
        if loss == "cross-entropy" and targets.is_floating_point():
            raise InputError("cross-entropy needs int64 labels, not values.")
        self.loss, self.engine, self.dtype = loss, engine, dtype
        origin = copy.deepcopy(model).eval().to(dtype=dtype)
        first = next(p for p in origin.parameters() if p.requires_grad)
        x = inputs[:samples].to(first.device)
        self.inputs = x.to(first.dtype) if x.is_floating_point() else x
        self.start, self.start_outputs = _vector(origin), self._outputs(origin)
        self.targets = _values(targets[:samples].to(first.device), self.start_outputs)
        self.start_jacobian = jacobian(origin, self.inputs, engine=engine).dense()
        self.start_kernel = self._seen(self.start_jacobian)

    def __repr__(self) -> str:
        """Loss, samples and parameters."""
        rows, columns = self.start_jacobian.shape
        return f"TangentObserver of {self.loss}: {rows} rows by {columns} parameters"

    def __call__(self, moment: HasModel) -> Row:
        """The columns at a moment of a run."""
        return self.measure(moment.model)

    def measure(self, model: nn.Module) -> Row:
        """The columns for a model in evaluation mode."""
        if next(model.parameters()).dtype != self.inputs.dtype:
            model = copy.deepcopy(model).to(dtype=self.dtype)
        theta, outputs = _vector(model), self._outputs(model)
        J = jacobian(model, self.inputs, engine=self.engine).dense()
        if not bool(torch.isfinite(J).all()):
            return dict.fromkeys(COLUMNS, float("nan"))
        K = self._seen(J)
        moved = theta - self.start
        linear = self.start_outputs + (self.start_jacobian @ moved).view_as(outputs)
        norm = float(theta.norm())
        start_norm = float(self.start.norm())
        euler = self._centre((J @ theta).reshape(-1, 1))
        return {
            "drift": kernel_drift(K, self.start_kernel),
            "kernel_max": float(torch.linalg.eigvalsh(K)[-1]),
            "euler_bound": float(euler.square().sum()) / norm**2 if norm else None,
            "effective_rate": effective_rate(K, self.residual(outputs)),
            "linearization_error": linearization_error(outputs, linear, self.start_outputs),
            "displacement": float(moved.norm()) / start_norm if start_norm else None,
        }

    def residual(self, outputs: Tensor) -> Tensor:
        """∂ℓ/∂f a sample: f − y, or p − e_y, shape (N, C)."""
        seen = outputs if self.loss == "squared" else outputs.softmax(1)
        return seen - self.targets

    def _outputs(self, model: nn.Module) -> Tensor:
        with torch.no_grad():
            return model(self.inputs).double()

    def _seen(self, J: Tensor) -> Tensor:
        """The kernel that the loss sees."""
        K = gram_matrix(J)
        return K if self.loss == "squared" else centre_kernel(K, self.start_outputs.shape[1])

    def _centre(self, rows: Tensor) -> Tensor:
        if self.loss == "squared":
            return rows
        blocks = rows.reshape(-1, self.start_outputs.shape[1])
        return blocks - blocks.mean(1, keepdim=True)


def _vector(model: nn.Module) -> Tensor:
    parts = [p.detach().double().reshape(-1) for p in model.parameters() if p.requires_grad]
    return torch.cat(parts)


def _values(targets: Tensor, outputs: Tensor) -> Tensor:
    if targets.is_floating_point():
        return targets.double().reshape(outputs.shape)
    return nn.functional.one_hot(targets, outputs.shape[1]).double()
