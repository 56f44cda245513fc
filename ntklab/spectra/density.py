"""Spectra too large to hold: stochastic Lanczos quadrature for the density, eigsh for the top.

Neither may be used for λ_min of a singular kernel: Lanczos finds the edges of what its start
vectors excite, and cannot tell an exact zero from a small eigenvalue.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.spectra.operator import JacobianLike, apply_kernel, check_kernel

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

Matvec = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False, repr=False)
class Density(ShortRepr):
    """A spectral density estimated from random probes, each a Gauss quadrature of its own.

    Attributes:
        nodes: Ritz values, shape (probes, steps); a row that ended early repeats its last node.
        weights: quadrature weights, shape (probes, steps), each row summing to one.
        size: n, the number of eigenvalues that the density stands for.
    """

    nodes: Float[Tensor, "probes steps"]
    weights: Float[Tensor, "probes steps"]
    size: int

    def mean_of(self, function: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        """(1/n) Σ_i f(λ_i) and its standard error over the probes.

        The error is the spread of the probes only: quadrature itself is exact for polynomials up
        to degree 2·steps − 1 and converges fast for smooth f, slowly for a step.
        """
        each = (self.weights * function(self.nodes)).sum(dim=1)
        return float(each.mean()), float(each.std() / len(each) ** 0.5)

    def cumulative(self, threshold: float) -> tuple[float, float]:
        """Fraction of eigenvalues ≤ threshold, and its standard error over the probes."""
        return self.mean_of(lambda values: (values <= threshold).to(values.dtype))

    def histogram(
        self, edges: Float[Tensor, "bins1"]
    ) -> tuple[Float[Tensor, "bins"], Float[Tensor, "bins"]]:
        """Fraction of eigenvalues in each bin [a, b) and its standard error over the probes."""
        bins = [
            self.mean_of(_indicator(a, b))
            for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        ]
        means, errors = torch.tensor(bins, dtype=torch.float64).unbind(dim=1)
        return means, errors


@takes_arrays
def spectral_density(
    operator: JacobianLike | Float[Tensor, "n n"] | Matvec,
    *,
    size: int | None = None,
    probes: int = 16,
    steps: int = 64,
    seed: int = 0,
) -> Density:
    """The eigenvalue density of K by stochastic Lanczos quadrature (Ubaru, Chen and Saad 2017).

    Each probe runs Lanczos with full reorthogonalization from a random sign vector; the squared
    first components of the tridiagonal's eigenvectors weight its eigenvalues.

    Args:
        operator: a Jacobian (K = J Jᵀ is applied as two products), a kernel matrix, or a function
            v ↦ K v on float64 vectors.
        size: n, for a function.
        probes: number of random vectors, at least 2 so that there is an error bar.
        steps: Lanczos steps a probe, at most n are taken.
        seed: of the probes.

    Returns:
        The density. Cost: probes × steps products with K, memory n × steps.

    Raises:
        InputError: for fewer than two probes, fewer than one step, or a function without size.

    Example:
        >>> K = torch.diag(torch.tensor([1.0, 1.0, 3.0, 3.0]))
        >>> mean, error = spectral_density(K, probes=8, steps=4).mean_of(lambda v: v)
        >>> round(mean, 12), round(error, 12)
        (2.0, 0.0)
    """
    if probes < 2 or steps < 1:
        raise InputError(f"probes={probes}, steps={steps}: give at least 2 probes and 1 step.")
    matvec, n = _matvec(operator, size)
    generator = torch.Generator().manual_seed(seed)
    steps = min(steps, n)
    pairs = []
    for _ in range(probes):
        signs = torch.randint(0, 2, (n,), generator=generator) * 2 - 1
        pairs.append(_quadrature(matvec, signs.to(torch.float64) / n**0.5, steps))
    nodes, weights = (torch.stack(column) for column in zip(*pairs, strict=True))
    return Density(nodes, weights, n)


@takes_arrays
def kernel_operator(operator: JacobianLike | Float[Tensor, "n n"]) -> "LinearOperator":
    """K as a scipy LinearOperator in float64, applied as J(Jᵀv) and never formed.

    Example:
        >>> kernel_operator(torch.eye(3)).matvec(np.ones(3)).tolist()
        [1.0, 1.0, 1.0]
    """
    from scipy.sparse.linalg import LinearOperator

    matvec, n = _matvec(operator, None)

    def apply(v: np.ndarray) -> np.ndarray:
        vector = torch.from_numpy(np.array(v, dtype=np.float64).reshape(-1))
        return matvec(vector).numpy()

    return LinearOperator((n, n), matvec=apply, dtype=np.float64)


def _dual_operator(operator: JacobianLike | Tensor) -> "LinearOperator":
    """G = JᵀJ as a scipy operator on float64 vectors of length P.

    Raises:
        InputError: for a kernel matrix, which has no Jacobian to form G from.
    """
    from scipy.sparse.linalg import LinearOperator

    if isinstance(operator, Tensor):
        raise InputError("G = JᵀJ needs a Jacobian, not the kernel matrix: give J, or dual=False.")
    J, size = operator, operator.shape[1]

    def apply(v: np.ndarray) -> np.ndarray:
        vector = torch.from_numpy(np.array(v, np.float64).reshape(-1))
        vector = vector.to(getattr(J, "device", "cpu"))
        product: np.ndarray = (J.T @ (J @ vector)).double().cpu().numpy()
        return product

    return LinearOperator((size, size), matvec=apply, dtype=np.float64)


@takes_arrays
def top_k(
    operator: JacobianLike | Float[Tensor, "n n"],
    k: int,
    *,
    seed: int = 0,
    tolerance: float = 0.0,
    dual: bool = False,
) -> Float[Tensor, "k"]:
    """The k largest eigenvalues of K, descending, by ARPACK (scipy's eigsh).

    Args:
        operator: a Jacobian or a kernel matrix.
        k: 1 ≤ k < n.
        seed: of the start vector, so that two calls agree.
        tolerance: relative accuracy asked of ARPACK; 0 means machine precision.
        dual: iterate on G = JᵀJ instead, whose vectors have length P and not N·C: on a whole
            vocabulary a basis of them is 60 times smaller.

    Raises:
        InputError: if k is not in 1..n−1, or ARPACK does not converge.

    Example:
        >>> top_k(torch.diag(torch.arange(1.0, 9.0)), 2).round(decimals=9).tolist()
        [8.0, 7.0]
    """
    from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    linear = _dual_operator(operator) if dual else kernel_operator(operator)
    n = linear.shape[0]
    if not 1 <= k < n:
        raise InputError(f"k={k} must lie in 1..{n - 1} for a kernel of {n} rows.")
    start = np.random.default_rng(seed).standard_normal(n)
    try:
        values = eigsh(linear, k, which="LA", v0=start, tol=tolerance, return_eigenvectors=False)
    except ArpackNoConvergence as error:
        raise InputError(
            f"ARPACK found only {len(error.eigenvalues)} of {k} eigenvalues: ask for fewer, or"
            " allow a larger tolerance."
        ) from error
    return torch.from_numpy(np.sort(values)[::-1].copy())


def _indicator(a: float, b: float) -> Callable[[Tensor], Tensor]:
    return lambda values: ((values >= a) & (values < b)).to(values.dtype)


def _matvec(operator: JacobianLike | Tensor | Matvec, size: int | None) -> tuple[Matvec, int]:
    if isinstance(operator, Tensor):
        K = check_kernel(operator).cpu()
        return lambda v: K @ v, K.shape[0]
    if isinstance(operator, JacobianLike):
        J = operator
        return lambda v: apply_kernel(J, v), J.shape[0]
    if size is None or size < 1:
        raise InputError(f"size={size}: give the number of rows n ≥ 1 of the kernel v ↦ K v.")
    return operator, size


def _quadrature(matvec: Matvec, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of one probe; short rows (an invariant subspace was found) are padded."""
    diagonal, off = _lanczos(matvec, start, steps)
    T = torch.diag(diagonal) + torch.diag(off, 1) + torch.diag(off, -1)
    nodes, vectors = torch.linalg.eigh(T)
    weights = vectors[0] ** 2
    missing = steps - len(nodes)
    return (
        torch.cat([nodes, nodes[-1:].expand(missing)]),
        torch.cat([weights, torch.zeros(missing, dtype=torch.float64)]),
    )


def _lanczos(matvec: Matvec, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Diagonal and off-diagonal of Lanczos's tridiagonal matrix."""
    basis = start[None]
    diagonal: list[Tensor] = []
    off: list[Tensor] = []
    largest = 0.0
    for _ in range(steps):
        w = matvec(basis[-1])
        largest = max(largest, float(w.norm()))
        diagonal.append(basis[-1] @ w)
        # Twice is enough (Kahan, Parlett): without it, converged values come back as ghosts.
        for _ in range(2):
            w = w - basis.T @ (basis @ w)
        beta = w.norm()
        if len(diagonal) == steps or float(beta) <= len(w) * torch.finfo(w.dtype).eps * largest:
            break
        off.append(beta)
        basis = torch.cat([basis, (w / beta)[None]])
    return torch.stack(diagonal), torch.stack(off) if off else start.new_zeros(0)
