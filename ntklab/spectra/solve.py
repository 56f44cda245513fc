"""`spectrum`: choose the route, and check the operator first."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.distributed import Recipe
from ntklab.errors import InputError, unknown
from ntklab.jacobians.operator import Jacobian
from ntklab.jacobians.shared import recipe_of
from ntklab.spectra.centre import CentredJacobian, lift_rows
from ntklab.spectra.decoupled import by_decoupling, parts_of
from ntklab.spectra.operator import JacobianLike, check_kernel
from ntklab.spectra.operator import working_epsilon as epsilon
from ntklab.spectra.result import Spectrum
from ntklab.spectra.rounding import ModelRounding, norm_above
from ntklab.spectra.routes import (
    by_gram,
    by_svd,
    centre_with_bound,
    eigen,
    gram_bytes,
    streamed_bytes,
    streams,
    svd_bytes,
    threshold,
)
from ntklab.spectra.shared import SharedJacobian

Route = Literal["auto", "svd", "gram", "dual"]


def spectrum(
    operator: JacobianLike | Float[Tensor, "n n"] | np.ndarray,
    *,
    route: Route = "auto",
    n_outputs: int | None = None,
    centred: bool = False,
    rank_tolerance: float | None = None,
    vectors: bool = False,
    model: ModelRounding | None = None,
    scheduler: Any = None,
    store: str | Path | None = None,
    recipe: Recipe | None = None,
) -> Spectrum:
    """All eigenvalues of the kernel K = J Jᵀ, with its rank and the error of the smallest.

    What each route computes, down to which λ/λ_max it resolves in float64, and its cost:

    - "svd": singular values of J, by QR of the tall side first; about 1e-29; O(NC·P·min(NC, P)).
    - "gram": eigenvalues of K (N·C × N·C); about n·ε = 1e-14 to 1e-13; O((NC)³).
    - "dual": eigenvalues of G = Jᵀ J (P × P); about n·ε = 1e-14 to 1e-13; O(P³).

    A float32 model perturbs σ by about 1e-7·σ_1, so that its λ below about 1e-14·λ_max are noise by
    every route, and counted as zero. "auto" takes "svd" if J as a dense float64 matrix and the
    workspace of the decomposition fit in the Jacobian's `memory`; else the Gram matrix of the
    smaller side. Asked for by name, "svd" also takes a J with N·C ≥ 2P that does not fit, if the
    Jacobian gives its rows by samples (`rows`, as ntklab's own does): they are folded into a P × P
    triangle. A kernel that its Jacobian knows as S ⊗ I + S' ⊗ BBᵀ (LoRA, the linear probe) goes to
    "decoupled" first: singular values of N × (k + l) blocks, with multiplicities, however many
    outputs. A matrix K goes to the symmetric eigensolver, and the spectrum's route reads "kernel".

    The rank counts σ > max(NC, P)·ε·σ_1 (route "svd") or λ > n·ε·λ_max (n the side of the matrix
    solved), with ε of float64, and σ above the error δ of the model's own arithmetic. Where δ is
    unknown (floats that were given), ε is that of their dtype. A negative eigenvalue cannot belong
    to a kernel, so it measures noise: the threshold on λ is never below the most negative one.

    `eigenvalue_errors` bounds the distance from the spectrum in exact arithmetic, as the sum of
    two parts that `errors_count` names.

    - Linear algebra. Route "svd": 2σδ' + δ'² with δ' = max(NC, P)·ε₆₄·σ_1, the backward error of
      Householder QR and SVD. The others: the residual and orthogonality bound of
      `eigen_perturbation`, and for Gram matrices their rounding by the probabilistic model of
      `gamma_likely`; `enclose` proves its bound instead.
    - The model's arithmetic, for a Jacobian of ntklab in less than float64, all of it or inside:
      2σδ + δ², δ measured on rows (`ntklab.spectra.model_rounding`). A float64 model's lies within
      the first part.

    Args:
        operator: a Jacobian, or a symmetric kernel K (n, n), tensor or numpy array, any real dtype.
        route: "auto", "svd", "gram" or "dual"; a matrix K allows only "auto".
        n_outputs: C; needed only to centre a matrix K.
        centred: take the spectrum of the kernel that softmax sees, whose size is N(C−1).
        rank_tolerance: zero threshold, on σ for route "svd", on λ for the others.
        vectors: keep the eigenvectors with nonzero eigenvalue, shape (N·C, rank).
        model: δ of the Jacobian behind a matrix K, if it is known; a Jacobian's is measured.
        scheduler: dask's, for a Jacobian that is shared: K block by block where N·C ≤ P, else a
            tall QR of its rows (`ntklab.spectra.SharedJacobian`); here if None.
        store: a folder for K, in which finished blocks stay; with it K is computed in any case.
        recipe: of the Jacobian's model, for the workers; adapters of `build_adapter` need none.

    Raises:
        MissingExtraError: a scheduler or a store without the extra `cluster`.
        InputError: for a matrix that is no kernel, an unknown route, or a problem larger than
            the memory allowed.

    Example:
        >>> import torch
        >>> K = torch.tensor([[4, 4, 4], [4, 6, 4], [4, 4, 6]])
        >>> [round(v, 6) for v in spectrum(K).eigenvalues.tolist()]
        [13.403124, 2.0, 0.596876]
    """
    if route not in get_args(Route):
        raise unknown("route", str(route), get_args(Route))
    if isinstance(operator, np.ndarray):
        operator = torch.as_tensor(operator)
    if isinstance(operator, Tensor):
        if route != "auto":
            raise InputError(
                f"route '{route}' needs a Jacobian, not a kernel matrix: leave route out, or wrap"
                " J in DenseJacobian."
            )
        return _of_kernel(operator, n_outputs, centred, rank_tolerance, vectors, model)
    if not isinstance(operator, JacobianLike):
        raise InputError(
            f"a spectrum needs a Jacobian, or a symmetric tensor or numpy array, not a"
            f" {type(operator).__name__}: of a model take ntklab.jacobian(model, x) first."
        )
    if scheduler is not None or store is not None:
        operator = _shared(operator, scheduler, store, recipe)
    source = CentredJacobian(operator) if centred else operator
    if 0 in source.shape:
        raise InputError(f"the Jacobian has shape {source.shape}: it needs samples and parameters.")
    if route == "auto" and not vectors and (parts := parts_of(source)) is not None:
        return replace(by_decoupling(source, parts, rank_tolerance), centred=centred)
    chosen = _choose(source, route, vectors)
    solve = by_svd if chosen == "svd" else by_gram
    result, U = solve(source, chosen, rank_tolerance, vectors)
    lifted = lift_rows(U, operator.n_outputs) if centred and U is not None else U
    return replace(result, centred=centred, eigenvectors=lifted)


def _shared(
    operator: JacobianLike, scheduler: Any, store: str | Path | None, recipe: Recipe | None
) -> SharedJacobian:
    if not isinstance(operator, Jacobian):
        raise InputError(
            f"a {type(operator).__name__} cannot be shared among workers: give what "
            "ntklab.jacobian(model, x) returns, or leave scheduler and store out."
        )
    return SharedJacobian(operator, scheduler, store=store, recipe=recipe_of(operator, recipe))


def _choose(source: JacobianLike, route: Route, vectors: bool) -> str:
    rows, columns = source.shape
    base = source.jacobian if isinstance(source, CentredJacobian) else source
    if route == "auto" and isinstance(base, SharedJacobian) and not vectors:
        route = "gram" if rows < columns else "svd"
    if route == "auto":
        if svd_bytes(source.shape, vectors=vectors) <= source.memory:
            return "svd"
        route = "gram" if rows <= columns else "dual"
    needed = {
        "svd": streamed_bytes(source)
        if streams(source, vectors)
        else svd_bytes(source.shape, vectors=vectors),
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


def _of_kernel(
    kernel: Tensor,
    n_outputs: int | None,
    centred: bool,
    tolerance: float | None,
    vectors: bool,
    model: ModelRounding | None,
) -> Spectrum:
    K = check_kernel(kernel)
    scale = norm_above(K)
    if centred:
        if n_outputs is None:
            raise InputError("to centre a kernel matrix, give n_outputs = C, its outputs a sample.")
        K, centring = centre_with_bound(K, n_outputs)
    else:
        centring = 0.0
    values, V, bound = eigen(K)
    noise = epsilon(kernel.dtype)
    _refuse_indefinite(values, noise, scale)
    least = 0.0 if model is None else (model.sigma_error or 0.0) ** 2
    standard = max(threshold(values, noise, centring), least)
    result = Spectrum.from_values(
        values,
        size=len(values),
        rank_tolerance=standard if tolerance is None else tolerance,
        errors=bound.at(values) + centring,
        model=model,
        route="kernel",
        centred=centred,
    )
    V = V[:, : result.rank]
    return replace(
        result,
        eigenvectors=(lift_rows(V, n_outputs) if centred and n_outputs else V) if vectors else None,
    )


def _refuse_indefinite(values: Tensor, noise: float, scale: float) -> None:
    smallest = float(values[-1])
    # Beside the norm before centring: what centring cancels leaves rounding of that size.
    if smallest < -(noise**0.5) * scale:
        raise InputError(
            f"the kernel has the negative eigenvalue {smallest:.3g} beside a norm of {scale:.3g},"
            " more than rounding explains: a kernel K = J Jᵀ has none; give the kernel itself, not"
            " a difference or a correlation of kernels."
        )
