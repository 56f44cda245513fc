"""A target function whose Barron constant is known exactly."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.display import ShortRepr
from ntklab.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class BarronTarget(ShortRepr):
    """A sum of cosines, f(x) = Σ_k a_k cos(ω_k·x + b_k), whose Barron constant is known.

    Its Fourier measure puts |a_k|/2 on each of ±ω_k, so for distinct ω_k
    C_f = ∫ ‖ω‖ |f̂|(dω) = Σ_k |a_k| ‖ω_k‖ (Barron 1993, IEEE Trans. Inf. Theory 39(3)).
    That is the constant of f on all of R^d; on a bounded set other extensions of f could have a
    smaller one, so it is an upper bound there.

    Args:
        amplitudes: a_k, shape (K,).
        frequencies: ω_k, shape (K, d).
        phases: b_k, shape (K,), radians.

    Example:
        >>> target = BarronTarget(torch.tensor([2.0]), torch.tensor([[3.0, 4.0]]), torch.zeros(1))
        >>> target.constant, target(torch.zeros(1, 2)).item()
        (10.0, 2.0)
    """

    amplitudes: Float[Tensor, "K"]
    frequencies: Float[Tensor, "K d"]
    phases: Float[Tensor, "K"]

    def __call__(self, x: Float[Tensor, "N d"]) -> Float[Tensor, "N"]:
        """Values f(x), shape (N,)."""
        return torch.cos(x @ self.frequencies.T + self.phases) @ self.amplitudes

    @property
    def constant(self) -> float:
        """Barron constant C_f = Σ_k |a_k| ‖ω_k‖."""
        return float(self.amplitudes.abs() @ self.frequencies.norm(dim=1))


def barron_target(
    eigenvalues: Float[Tensor, "d"], *, terms: int = 16, bandwidth: float = 2.0, seed: int = 0
) -> BarronTarget:
    """Draw a Barron target for inputs x ~ N(0, diag(eigenvalues)).

    Directions of ω_k are uniform, their lengths make ω_k·x of standard deviation ``bandwidth``;
    amplitudes are ± sqrt(2 / terms), phases uniform. One term more has ω = 0 and the amplitude
    that makes the exact mean of f zero, so that its sign gives two classes of similar size; a
    constant adds nothing to C_f.

    Args:
        eigenvalues: Variances of the inputs, shape (d,), positive.
        terms: Number of cosines with ω ≠ 0.
        bandwidth: Standard deviation of the phases ω_k·x, radians.
        seed: Seed of the draw.

    Returns:
        The target, with ``terms`` + 1 terms, in the dtype of ``eigenvalues``.

    Raises:
        InputError: If ``terms`` is below 1 or ``bandwidth`` is not positive.

    Example:
        >>> target = barron_target(torch.ones(3, dtype=torch.float64), terms=4)
        >>> target.frequencies.shape, target.constant > 0
        (torch.Size([5, 3]), True)
    """
    if terms < 1 or not bandwidth > 0:
        raise InputError(
            f"a Barron target of {terms} terms and bandwidth {bandwidth} cannot be drawn: ask "
            "for at least 1 term and a positive bandwidth."
        )
    generator = torch.Generator().manual_seed(seed)
    dtype, device = eigenvalues.dtype, eigenvalues.device
    # Drawn on the CPU, so that a seed gives the same target on every device.
    directions = torch.randn(terms, len(eigenvalues), generator=generator, dtype=dtype).to(device)
    deviation = (directions.square() @ eigenvalues).sqrt().unsqueeze(1)
    frequencies = bandwidth * directions / deviation
    phases = 2 * math.pi * torch.rand(terms, generator=generator, dtype=dtype).to(device)
    signs = torch.randint(0, 2, (terms,), generator=generator) * 2.0 - 1.0
    amplitudes = signs.to(device, dtype) * math.sqrt(2 / terms)
    # E cos(ω·x + b) = cos(b) exp(-½ ωᵀΣω) for Gaussian x.
    mean = (amplitudes * phases.cos()).sum() * math.exp(-0.5 * bandwidth**2)
    zero = torch.zeros_like(mean).unsqueeze(0)
    return BarronTarget(
        torch.cat([amplitudes, -mean.unsqueeze(0)]),
        torch.cat([frequencies, torch.zeros_like(frequencies[:1])]),
        torch.cat([phases, zero]),
    )
