"""Figures that say how far from its linearization a model is, or must go."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from ntklab.adapters import Adapter
from ntklab.arrays import takes_arrays
from ntklab.dynamics.modes import Modes
from ntklab.errors import InputError
from ntklab.spectra import JacobianLike, Spectrum, relative_distance


@dataclass(frozen=True)
class LazyIndex:
    """How far, relative to where it stands, the linearized model must go (theory P5).

    Attributes:
        index: sqrt(r_0ᵀ K_0⁺ r_0)/‖θ_0‖: the relative displacement of the linearized solution.
            Linearization needs it well below 1/degree.
        radius: sqrt(r_0ᵀ K_0⁺ r_0) = B, the RKHS norm of what is to be learned.
        parameter_norm: ‖θ_0‖.
        kernel_residual: ‖P_ker r_0‖/‖r_0‖, the share that is never learned and costs nothing.
    """

    index: float
    radius: float
    parameter_norm: float
    kernel_residual: float


@takes_arrays
def lazy_index(
    kernel: Spectrum | JacobianLike | Float[Tensor, "NC NC"] | Modes,
    residual: Float[Tensor, "NC"],
    parameter_norm: float,
) -> LazyIndex:
    """The lazy index of a start.

    Scale-free: multiplying outputs and targets by α leaves it as it is; multiplying outputs
    alone divides it by α.

    Args:
        kernel: K_0, see `Modes.of`.
        residual: r_0 = f_0 − y, shape (N·C,) or (N, C).
        parameter_norm: ‖θ_0‖ of the trained parameters, see `parameter_norm`.

    Raises:
        InputError: a norm that is not positive, a residual of another length or zero.

    Example:
        >>> import torch
        >>> found = lazy_index(torch.diag(torch.tensor([4.0, 0.0])), torch.tensor([2.0, 2.0]), 0.5)
        >>> found.index, round(found.kernel_residual, 6)
        (2.0, 0.707107)
    """
    if not parameter_norm > 0:
        raise InputError(f"‖θ_0‖ = {parameter_norm} must be positive.")
    modes = kernel if isinstance(kernel, Modes) else Modes.of(kernel)
    coefficients, rest = modes.split(residual)
    total = float(residual.detach().double().norm())
    if not total > 0:
        raise InputError("the residual is zero: the model already fits, there is nothing to learn.")
    radius = float((coefficients.square() / modes.eigenvalues).sum().sqrt())
    share = float(rest.norm()) / total
    return LazyIndex(radius / parameter_norm, radius, parameter_norm, share)


def parameter_norm(model: nn.Module) -> float:
    """‖θ‖ over the trained parameters, in float64.

    >>> parameter_norm(nn.Linear(2, 2, bias=False).requires_grad_(False))
    0.0
    """
    squares = [float(p.detach().double().square().sum()) for p in _trained(model)]
    return sum(squares) ** 0.5


def total_degree(adapter: Adapter) -> int | None:
    """D with J θ = D (f − base): the degree in each core times their number (theory P5).

    None where σ is not homogeneous.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> total_degree(build_adapter("tensorguide", 512, 2)), total_degree(
        ...     build_adapter("lora", 512, 2))
        (8, 2)
    """
    return None if adapter.degree is None else adapter.degree * len(_trained(adapter))


@takes_arrays
def kernel_drift(kernel: Float[Tensor, "n n"], start: Float[Tensor, "n n"]) -> float:
    """‖K_t − K_0‖/‖K_0‖ in Frobenius norm.

    >>> import torch
    >>> kernel_drift(torch.eye(2) * 1.5, torch.eye(2))
    0.5
    """
    return relative_distance(kernel, start)


@takes_arrays
def effective_rate(kernel: Float[Tensor, "n n"], residual: Float[Tensor, "..."]) -> float | None:
    """ρ_t = rᵀ K_t r/‖r‖²: the exact decay rate of ½‖r‖² is 2cρ_t, whatever K_t does (eq 10).

    None for r = 0.

    >>> import torch
    >>> effective_rate(torch.diag(torch.tensor([3.0, 1.0])), torch.tensor([1.0, 1.0]))
    2.0
    """
    r = residual.detach().double().reshape(-1)
    square = float(r @ r)
    return float(r @ kernel.to(r) @ r) / square if square > 0 else None


@takes_arrays
def linearization_error(
    outputs: Float[Tensor, "..."],
    linearized: Float[Tensor, "..."],
    start: Float[Tensor, "..."],
) -> float:
    """‖f_t − f_lin‖/‖f_t − f_0‖, f_lin = f_0 + J_0 (θ_t − θ_0) (eq 14); 0 before any movement.

    >>> import torch
    >>> linearization_error(torch.tensor([2.0]), torch.tensor([1.5]), torch.tensor([0.0]))
    0.25
    """
    moved = float((outputs - start).double().norm())
    return float((outputs - linearized).double().norm()) / moved if moved > 0 else 0.0


def _trained(model: nn.Module) -> list[Tensor]:
    return [p for p in model.parameters() if p.requires_grad]
