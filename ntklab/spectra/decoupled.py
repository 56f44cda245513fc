"""Spectra of kernels that an eigenbasis of the outputs takes apart (theory §3)."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.adapter import Decoupled
from ntklab.spectra.model_rounding import decoupled_rounding, measured_tolerance
from ntklab.spectra.operator import JacobianLike
from ntklab.spectra.result import Spectrum
from ntklab.spectra.routes import EPSILON, singular_values


@runtime_checkable
class DecouplingSource(Protocol):
    """A Jacobian that may know its kernel as S ⊗ I_C + S' ⊗ BBᵀ."""

    def decoupled(self) -> Decoupled | None:
        """The parts, or None."""
        ...


def parts_of(source: JacobianLike) -> Decoupled | None:
    """The decoupled form of a kernel, where its Jacobian has one."""
    return source.decoupled() if isinstance(source, DecouplingSource) else None


def by_decoupling(source: JacobianLike, parts: Decoupled, tolerance: float | None) -> Spectrum:
    """Spectrum from min(r, C) + 1 problems of size N × (k + l), multiplicities as such.

    The rank tolerance takes the size of a block, not N·C: the decoupling is exact, and only the
    blocks are rounded.
    """
    groups = decoupled_singular_values(parts)
    values = torch.cat([sigma for sigma, _ in groups])
    counts = torch.cat([torch.full((len(sigma),), count) for sigma, count in groups])
    longest = max(parts.shared.shape[0], _block_width(parts), 10)
    delta = longest * EPSILON * values.max()
    model = decoupled_rounding(source)
    noise, least = measured_tolerance(model, source)
    standard = max(float(longest * noise * values.max()), least)
    return Spectrum.from_values(
        values,
        multiplicity=counts,
        size=source.shape[0],
        parameters=source.shape[1],
        rank_tolerance=standard if tolerance is None else tolerance,
        tolerance_on="sigma",
        errors=(2 * values * delta + delta**2).cpu(),
        model=model,
        route="decoupled",
    )


def decoupled_singular_values(parts: Decoupled) -> list[tuple[Float[Tensor, " k"], int]]:
    """Singular values of J in groups with their multiplicities, all outputs covered.

    For every eigenvalue β of BBᵀ the block shared sharedᵀ + β coupled coupledᵀ is the square of
    [shared, √β coupled]; the C − rank B zero eigenvalues share one block.

    Example:
        >>> decoupled_singular_values(Decoupled(torch.eye(3), None, None, n_outputs=5))
        [(tensor([1., 1., 1.], dtype=torch.float64), 5)]
    """
    shared = parts.shared.double()
    if parts.coupled is None or parts.factor is None:
        return [(singular_values(shared), parts.n_outputs)]
    coupled, strengths = parts.coupled.double(), torch.linalg.svdvals(parts.factor.double())
    groups = [
        (singular_values(torch.cat([shared, strength * coupled], dim=1)), 1)
        for strength in strengths
    ]
    if (rest := parts.n_outputs - len(strengths)) > 0:
        groups.append((singular_values(shared), rest))
    return groups


def _block_width(parts: Decoupled) -> int:
    return parts.shared.shape[1] + (0 if parts.coupled is None else parts.coupled.shape[1])
