"""`spectrum`: choose the route, compute the values, bound their errors."""

from dataclasses import replace
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.errors import InputError, unknown
from ntklab.spectrum.centre import (
    CentredJacobian,
    centre_kernel,
    centring_rounding,
    compress_rows,
    lift_rows,
)
from ntklab.spectrum.operator import JacobianLike, check_kernel, check_matrix, jacobian_dtype
from ntklab.spectrum.operator import working_epsilon as epsilon
from ntklab.spectrum.result import Spectrum
from ntklab.spectrum.rounding import (
    Perturbation,
    eigen_perturbation,
    gamma_likely,
    gram_rounding,
    norm_above,
)

Route = Literal["auto", "svd", "gram", "dual"]

EPSILON = torch.finfo(torch.float64).eps

# A side this many times the other is reduced by QR first; below it, LAPACK's own way is as good.
STRONGLY_RECTANGULAR = 2


def spectrum(
    operator: JacobianLike | Float[Tensor, "n n"],
    *,
    route: Route = "auto",
    n_outputs: int | None = None,
    centred: bool = False,
    rank_tolerance: float | None = None,
    vectors: bool = False,
) -> Spectrum:
    """All eigenvalues of the kernel K = J Jᵀ, with its rank and the error of the smallest.

    | route | computes | resolves λ/λ_max down to | cost |
    |---|---|---|---|
    | "svd" | singular values of J, by QR of the tall side first | about 1e-29 | O(NC·P·min) |
    | "gram" | eigenvalues of K (N·C × N·C) | about n·ε = 1e-14 to 1e-13 | O((NC)³) |
    | "dual" | eigenvalues of G = Jᵀ J (P × P) | about n·ε = 1e-14 to 1e-13 | O(P³) |

    (float64; a float32 model perturbs σ by about 1e-7·σ_1, so its λ below 1e-12·λ_max are noise by
    every route.) "auto" takes "svd" if J as a dense float64 matrix and the workspace of the
    decomposition fit in the Jacobian's `memory`; else the Gram matrix of the smaller side. A
    matrix K goes to the symmetric eigensolver, and the spectrum's route reads "kernel".

    The rank counts σ > max(NC, P)·ε·σ_1 (route "svd") or λ > n·ε·λ_max (n the side of the matrix
    solved), with ε of the dtype in which J or K was computed. A negative eigenvalue cannot belong
    to a kernel, so it measures noise: the threshold on λ is never below the most negative one.

    `eigenvalue_errors` bounds the distance from the spectrum of the floats given. Route "svd":
    2σδ + δ² with δ = max(NC, P)·ε₆₄·σ_1, the backward error of Householder QR and SVD. The others:
    the residual and orthogonality bound of `eigen_perturbation`, and for Gram matrices their
    rounding by the probabilistic model of `gamma_likely`; `enclose` proves its bound instead.

    Args:
        operator: a Jacobian, or a symmetric kernel K (n, n), any real dtype.
        route: "auto", "svd", "gram" or "dual"; a matrix K allows only "auto".
        n_outputs: C; needed only to centre a matrix K.
        centred: take the spectrum of the kernel that softmax sees, whose size is N(C−1).
        rank_tolerance: zero threshold, on σ for route "svd", on λ for the others.
        vectors: keep the eigenvectors with nonzero eigenvalue, shape (N·C, rank).

    Raises:
        InputError: for a matrix that is no kernel, an unknown route, or a problem larger than
            the memory allowed.

    Example:
        >>> K = torch.tensor([[4, 4, 4], [4, 6, 4], [4, 4, 6]])
        >>> [round(v, 6) for v in spectrum(K).eigenvalues.tolist()]
        [13.403124, 2.0, 0.596876]
    """
    if route not in get_args(Route):
        raise unknown("route", str(route), get_args(Route))
    if isinstance(operator, Tensor):
        if route != "auto":
            raise InputError(
                f"route '{route}' needs a Jacobian, not a kernel matrix: leave route out, or wrap"
                " J in DenseJacobian."
            )
        return _of_kernel(operator, n_outputs, centred, rank_tolerance, vectors)
    if not isinstance(operator, JacobianLike):
        raise InputError(
            f"a spectrum needs a Jacobian or a symmetric torch.Tensor, not a"
            f" {type(operator).__name__}."
        )
    source = CentredJacobian(operator) if centred else operator
    if 0 in source.shape:
        raise InputError(f"the Jacobian has shape {source.shape}: it needs samples and parameters.")
    chosen = _choose(source, route, vectors)
    solve = _by_svd if chosen == "svd" else _by_gram
    result, U = solve(source, chosen, rank_tolerance, vectors)
    lifted = lift_rows(U, operator.n_outputs) if centred and U is not None else U
    return replace(result, centred=centred, eigenvectors=lifted)


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
    n = tall.shape[1]
    R = tall[:0]
    for block in tall.split(max(4 * n, 256)):
        R = torch.linalg.qr(torch.cat([R, block]), mode="r").R
    return R


def svd_bytes(shape: tuple[int, int], *, vectors: bool = False) -> int:
    """Peak bytes of route "svd": J, one copy of it, the small factor's decomposition.

    Example:
        >>> svd_bytes((1000, 1000))
        72000000
    """
    big, small = shape[0] * shape[1], min(shape) ** 2
    return 8 * ((6 if vectors else 3) * big + 6 * small)


def gram_bytes(side: int) -> int:
    """Peak bytes of the Gram routes: the matrix, its eigenvectors, LAPACK's work, the residual."""
    return 8 * 7 * side**2


def _choose(source: JacobianLike, route: Route, vectors: bool) -> str:
    rows, columns = source.shape
    if route == "auto":
        if svd_bytes(source.shape, vectors=vectors) <= source.memory:
            return "svd"
        route = "gram" if rows <= columns else "dual"
    needed = {
        "svd": svd_bytes(source.shape, vectors=vectors),
        "gram": gram_bytes(rows),
        "dual": gram_bytes(columns),
    }[route]
    if needed > source.memory:
        raise InputError(
            f"route '{route}' for a Jacobian of shape {rows} × {columns} needs about"
            f" {needed / 2**30:.2g} GiB and {source.memory / 2**30:.2g} GiB are allowed: raise the"
            " memory, take fewer samples, or use spectral_density."
        )
    return route


def _by_svd(
    source: JacobianLike, route: str, tolerance: float | None, vectors: bool
) -> tuple[Spectrum, Tensor | None]:
    J, centring = _rows(source)
    if vectors:
        U, sigma, _ = torch.linalg.svd(J, full_matrices=False)
    else:
        U, sigma = None, singular_values(J)
    longest, largest = max(source.shape), float(sigma[0])
    # Householder methods stay well under max(m, n)·ε; ten covers the constant of tiny matrices.
    delta = max(longest, 10) * EPSILON * largest + centring
    noise = epsilon(jacobian_dtype(source))
    result = Spectrum.from_values(
        sigma,
        size=source.shape[0],
        parameters=source.shape[1],
        rank_tolerance=max(longest * noise * largest, centring * noise / EPSILON)
        if tolerance is None
        else tolerance,
        tolerance_on="sigma",
        errors=(2 * sigma * delta + delta**2).cpu(),
        route=route,
    )
    return result, None if U is None else U[:, : result.rank]


def _rows(source: JacobianLike) -> tuple[Tensor, float]:
    """J in float64, and what centring may have moved its singular values by."""
    if not isinstance(source, CentredJacobian):
        return check_matrix(source.dense(torch.float64), "the Jacobian"), 0.0
    # Centring removes what the outputs share, however large: its rounding is relative to J.
    J, C = source.jacobian.dense(torch.float64), source.jacobian.n_outputs
    check_matrix(J, "the Jacobian")
    return compress_rows(J, C), centring_rounding(C) * norm_above(J)


def _by_gram(
    source: JacobianLike, route: str, tolerance: float | None, vectors: bool
) -> tuple[Spectrum, Tensor | None]:
    rows, columns = source.shape
    matrix, forming, centring = _gram(source, route)
    values, V, bound = _eigen(matrix)
    noise = epsilon(jacobian_dtype(source))
    result = Spectrum.from_values(
        values[: min(rows, columns)],
        size=rows,
        parameters=columns,
        rank_tolerance=_threshold(values, noise, centring) if tolerance is None else tolerance,
        errors=bound.at(values)[: min(rows, columns)] + forming + centring,
        route=route,
    )
    if not vectors:
        return result, None
    V = V[:, : result.rank]
    return result, V if route == "gram" else _to_rows(source, V)


def _gram(source: JacobianLike, route: str) -> tuple[Tensor, float, float]:
    """The Gram matrix, and the rounding of forming it and of centring it."""
    base = source.jacobian if isinstance(source, CentredJacobian) else source
    matrix = check_kernel(base.gram() if route == "gram" else base.dual_gram(), "the Gram matrix")
    trace, inner = float(matrix.trace()), base.shape[1 if route == "gram" else 0]
    forming = gram_rounding(trace, inner)
    if not isinstance(source, CentredJacobian):
        return matrix, forming, 0.0
    if route == "gram":
        centred, centring = _centre(matrix, base.n_outputs)
    else:
        centred = source.centre_dual(matrix)
        centring = 2 * trace * gamma_likely(base.n_samples + base.n_outputs + 4)
    return (centred + centred.T) / 2, forming, centring


def _centre(K: Tensor, n_outputs: int) -> tuple[Tensor, float]:
    """The compressed centred kernel and a bound on its rounding, once for each side."""
    centred = centre_kernel(K, n_outputs, compress=True)
    return (centred + centred.T) / 2, 2 * centring_rounding(n_outputs) * norm_above(K)


def _to_rows(source: JacobianLike, V: Float[Tensor, "P r"]) -> Float[Tensor, "NC r"]:
    """Eigenvectors of K from those of G: the directions J v, made orthonormal in order.

    Their accuracy falls with σ_i/σ_1; QR keeps them orthonormal where rounding has tilted them.
    """
    columns = [(source @ v.to(jacobian_dtype(source))).to(torch.float64) for v in V.T]
    if not columns:
        return torch.zeros(source.shape[0], 0, dtype=torch.float64)
    return torch.linalg.qr(torch.stack(columns, dim=1)).Q


def _of_kernel(
    kernel: Tensor, n_outputs: int | None, centred: bool, tolerance: float | None, vectors: bool
) -> Spectrum:
    K = check_kernel(kernel)
    if centred:
        if n_outputs is None:
            raise InputError("to centre a kernel matrix, give n_outputs = C, its outputs a sample.")
        K, centring = _centre(K, n_outputs)
    else:
        centring = 0.0
    values, V, bound = _eigen(K)
    noise = epsilon(kernel.dtype)
    _refuse_indefinite(values, noise)
    result = Spectrum.from_values(
        values,
        size=len(values),
        rank_tolerance=_threshold(values, noise, centring) if tolerance is None else tolerance,
        errors=bound.at(values) + centring,
        route="kernel",
        centred=centred,
    )
    V = V[:, : result.rank]
    return replace(
        result,
        eigenvectors=(lift_rows(V, n_outputs) if centred and n_outputs else V) if vectors else None,
    )


def _eigen(matrix: Tensor) -> tuple[Tensor, Tensor, Perturbation]:
    """Eigenvalues, descending, their vectors and their error bound, on the CPU."""
    matrix = matrix.cpu()
    values, V = torch.linalg.eigh(matrix)
    values, V = values.flip(0), V.flip(1)
    return values, V, eigen_perturbation(matrix, values, V)


def _threshold(values: Tensor, noise: float, centring: float) -> float:
    standard = len(values) * noise * float(values[0])
    return max(standard, -float(values[-1]), centring * noise / EPSILON)


def _refuse_indefinite(values: Tensor, noise: float) -> None:
    smallest, largest = float(values[-1]), float(values.abs().max())
    if smallest < -(noise**0.5) * largest:
        raise InputError(
            f"the kernel has the negative eigenvalue {smallest:.3g} beside {largest:.3g}, more than"
            " rounding explains: a kernel K = J Jᵀ has none; give the kernel itself, not a"
            " difference or a correlation of kernels."
        )
