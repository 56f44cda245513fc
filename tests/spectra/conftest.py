"""Matrices whose spectra are known before any solver runs."""

from collections.abc import Callable

import mpmath
import pytest
import torch
from torch import Tensor

Designed = Callable[..., Tensor]


@pytest.fixture(scope="session")
def designed() -> Designed:
    """J = U diag(σ) Vᵀ of a given shape with random orthonormal U, V."""

    def build(sigma: list[float], rows: int, columns: int, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        k = len(sigma)
        U, V = (
            torch.linalg.qr(torch.randn(n, k, generator=generator, dtype=torch.float64)).Q
            for n in (rows, columns)
        )
        return (U * torch.tensor(sigma, dtype=torch.float64)) @ V.T

    return build


@pytest.fixture(scope="session")
def hadamard() -> Tensor:
    """H (8 × 8) of signs, HᵀH = 8 I: products with powers of two in a narrow range are exact."""
    H = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(3):
        H = torch.cat([torch.cat([H, H], 1), torch.cat([H, -H], 1)])
    return H


@pytest.fixture(scope="session")
def exact_eigenvalues() -> Callable[[Tensor, bool], list[mpmath.mpf]]:
    """Ascending eigenvalues, to 60 digits, of the floats in K, or of the exact J Jᵀ."""

    def solve(matrix: Tensor, gram: bool) -> list[mpmath.mpf]:
        with mpmath.workdps(60):
            M = mpmath.matrix(matrix.tolist())
            return sorted(mpmath.eigsy(M * M.T if gram else M, eigvals_only=True))

    return solve
