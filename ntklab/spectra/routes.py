"""The numerics of each route: values, their errors, the memory they take."""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.spectra.centre import (
    CentredJacobian,
    centre_kernel,
    centring_rounding,
    compress_rows,
)
from ntklab.spectra.model_rounding import measured_tolerance, model_rounding
from ntklab.spectra.operator import (
    JacobianLike,
    RowSource,
    check_kernel,
    check_matrix,
    multiply,
    row_blocks,
)
from ntklab.spectra.operator import working_epsilon as epsilon
from ntklab.spectra.result import Spectrum
from ntklab.spectra.rounding import (
    Perturbation,
    eigen_perturbation,
    gamma_likely,
    gram_rounding,
    norm_above,
)
from ntklab.spectra.shared import SharedJacobian

EPSILON = torch.finfo(torch.float64).eps

# A side this many times the other is reduced by QR first; below it, LAPACK's own way is as good.
STRONGLY_RECTANGULAR = 2


def singular_values(J: Float[Tensor, "m n"]) -> Float[Tensor, "k"]:
    """σ of a dense matrix, descending, never through J Jᵀ, which would square the condition number.

    A strongly rectangular J is first reduced to the small triangle R of its tall side, block by
    block (TSQR, Demmel et al. 2012), which keeps the backward error at rounding level.

    Example:
        >>> singular_values(torch.tensor([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]])).tolist()
        [4.0, 3.0]
    """
    tall = J if J.shape[0] >= J.shape[1] else J.T
    if tall.shape[0] >= STRONGLY_RECTANGULAR * tall.shape[1]:
        tall = _triangle(tall)
    return torch.linalg.svdvals(tall)


def _triangle(tall: Float[Tensor, "m n"]) -> Float[Tensor, "n n"]:
    """R of the QR factorization, folding in blocks of rows so that the workspace stays small."""
    R = tall[:0]
    for block in tall.split(_block_rows(tall.shape[1])):
        R = _fold(R, block)
    return R


def _fold(R: Tensor, block: Tensor) -> Tensor:
    return torch.linalg.qr(torch.cat([R, block]), mode="r").R


def _block_rows(columns: int) -> int:
    return max(2 * columns, 256)


def svd_bytes(shape: tuple[int, int], *, vectors: bool = False) -> int:
    """Peak bytes of route "svd" with J held: J, copies of it, the small factor's decomposition.

    Example:
        >>> svd_bytes((1000, 1000))
        72000000
    """
    big, small = shape[0] * shape[1], min(shape) ** 2
    return 8 * ((6 if vectors else 3) * big + 6 * small)


def streamed_bytes(source: JacobianLike) -> int:
    """Peak bytes of route "svd" where the rows of a tall J are folded in block by block."""
    columns = source.shape[1]
    block = min(source.shape[0], _block_rows(columns) + source.n_outputs)
    return 8 * (3 * (columns + block) * columns + 6 * columns**2)


def gram_bytes(side: int) -> int:
    """Peak bytes of the Gram routes: the matrix, its eigenvectors, LAPACK's work, the residual."""
    return 8 * 7 * side**2


def by_svd(
    source: JacobianLike, route: str, tolerance: float | None, vectors: bool
) -> tuple[Spectrum, Tensor | None]:
    J, centring = _triangle_of(source) if streams(source, vectors) else _rows(source)
    if vectors:
        U, sigma, _ = torch.linalg.svd(J, full_matrices=False)
    else:
        U, sigma = None, singular_values(J)
    longest, largest = max(source.shape), float(sigma[0])
    # Householder methods stay well under max(m, n)·ε; ten covers the constant of tiny matrices.
    delta = max(longest, 10) * EPSILON * largest + centring
    model = model_rounding(source, float(sigma.norm()))
    noise, least = measured_tolerance(model, source)
    standard = max(longest * noise * largest, centring * noise / EPSILON, least)
    result = Spectrum.from_values(
        sigma,
        size=source.shape[0],
        parameters=source.shape[1],
        rank_tolerance=standard if tolerance is None else tolerance,
        tolerance_on="sigma",
        errors=(2 * sigma * delta + delta**2).cpu(),
        model=model,
        route=route,
    )
    return result, None if U is None else U[:, : result.rank]


def _rows(source: JacobianLike) -> tuple[Tensor, float]:
    """J in float64, and a bound on how far centring may have moved its singular values."""
    if not isinstance(source, CentredJacobian):
        return check_matrix(source.dense(torch.float64), "the Jacobian"), 0.0
    # Centring removes what the outputs share, however large: its rounding is relative to J.
    J, C = source.jacobian.dense(torch.float64), source.jacobian.n_outputs
    check_matrix(J, "the Jacobian")
    return compress_rows(J, C), centring_rounding(C) * norm_above(J)


def streams(source: JacobianLike, vectors: bool) -> bool:
    """Whether only the triangle of J is needed and its rows come block by block."""
    base = source.jacobian if isinstance(source, CentredJacobian) else source
    rows, columns = source.shape
    if isinstance(base, SharedJacobian):
        return rows >= columns and not vectors
    tall = rows >= STRONGLY_RECTANGULAR * columns
    return tall and not vectors and isinstance(base, RowSource)


def _triangle_of(source: JacobianLike) -> tuple[Tensor, float]:
    """R with RᵀR = JᵀJ by TSQR over the rows as they are computed; and as `_rows`, centring."""
    centred = isinstance(source, CentredJacobian)
    base = source.jacobian if isinstance(source, CentredJacobian) else source
    C, squares = base.n_outputs, 0.0
    if isinstance(base, SharedJacobian):
        shared, norm = base.triangle(centred=centred)
        return shared, centring_rounding(C) * norm if centred else 0.0
    R: Tensor | None = None
    for block in row_blocks(base, -(-_block_rows(base.shape[1]) // C)):
        squares += norm_above(block) ** 2
        rows = compress_rows(block, C) if centred else block
        R = _fold(rows[:0] if R is None else R, rows)
    assert R is not None  # there is at least one sample
    return R, centring_rounding(C) * squares**0.5 if centred else 0.0


def by_gram(
    source: JacobianLike, route: str, tolerance: float | None, vectors: bool
) -> tuple[Spectrum, Tensor | None]:
    rows, columns = source.shape
    matrix, forming, centring, summed = _gram(source, route)
    values, V, bound = eigen(matrix)
    model = model_rounding(source, max(float(values.sum()), 0.0) ** 0.5)
    noise, least = measured_tolerance(model, source)
    standard = max(threshold(values, max(noise, summed), centring), least**2)
    result = Spectrum.from_values(
        values[: min(rows, columns)],
        size=rows,
        parameters=columns,
        rank_tolerance=standard if tolerance is None else tolerance,
        errors=bound.at(values)[: min(rows, columns)] + forming + centring,
        model=model,
        route=route,
    )
    if not vectors:
        return result, None
    V = V[:, : result.rank]
    return result, V if route == "gram" else _to_rows(source, V)


def _gram(source: JacobianLike, route: str) -> tuple[Tensor, float, float, float]:
    """The Gram matrix, the rounding of forming it and of centring it, and the ε of its sums."""
    base = source.jacobian if isinstance(source, CentredJacobian) else source
    given = base.gram() if route == "gram" else base.dual_gram()
    matrix, summed = check_kernel(given, "the Gram matrix"), epsilon(given.dtype)
    trace, inner = float(matrix.trace()), base.shape[1 if route == "gram" else 0]
    # A Jacobian that sums in float32 (`accumulate`) errs by as much more.
    forming = gram_rounding(trace, inner) * (summed / EPSILON)
    if not isinstance(source, CentredJacobian):
        return matrix, forming, 0.0, summed
    if route == "gram":
        centred, centring = centre_with_bound(matrix, base.n_outputs)
    else:
        centred = source.centre_dual(matrix)
        centring = 2 * trace * gamma_likely(base.n_samples + base.n_outputs + 4)
    return centred, forming, centring, summed


def centre_with_bound(K: Tensor, n_outputs: int) -> tuple[Tensor, float]:
    """The compressed centred kernel and a bound on its rounding, once for each side."""
    centred = centre_kernel(K, n_outputs, compress=True)
    return centred, 2 * centring_rounding(n_outputs) * norm_above(K)


def _to_rows(source: JacobianLike, V: Float[Tensor, "P r"]) -> Float[Tensor, "NC r"]:
    """Eigenvectors of K from those of G: the directions J v, made orthonormal in order.

    Their accuracy falls with σ_i/σ_1; QR keeps them orthonormal where rounding has tilted them.
    """
    columns = [multiply(source, v) for v in V.T]
    if not columns:
        return torch.zeros(source.shape[0], 0, dtype=torch.float64)
    return torch.linalg.qr(torch.stack(columns, dim=1)).Q


def eigen(matrix: Tensor) -> tuple[Tensor, Tensor, Perturbation]:
    """Eigenvalues, descending, their vectors and their error bound, on the CPU."""
    matrix = matrix.cpu()
    values, V = torch.linalg.eigh(matrix)
    values, V = values.flip(0), V.flip(1)
    return values, V, eigen_perturbation(matrix, values, V)


def threshold(values: Tensor, noise: float, centring: float) -> float:
    standard = len(values) * noise * float(values[0])
    return max(standard, -float(values[-1]), centring * noise / EPSILON)
