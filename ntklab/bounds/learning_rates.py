"""Per-core learning rates, and the scalar gauges that they equal: the best λ_min/mean, certified.

K = Σ_k K_k over the cores (blocks of parameters). A learning rate c_k for core k makes gradient
flow run with Σ c_k K_k; so does, up to one common factor, the gauge G_k → g_k G_k with Π g_k = 1
and c_k ∝ g_k⁻², which leaves the weights as they are (theory P4). The best conditioning over both,

    max λ_min(Σ c_k K_k)  subject to  Σ c_k tr K_k = 1, c ≥ 0,

is concave; its dual is the least max_k ⟨K_k, ρ⟩/tr K_k over density matrices ρ (theory §5).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import linalg, optimize
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.bounds.bound import Bound, conclude
from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.spectra.operator import check_kernel

CoreKernels = Mapping[str, Float[Tensor, "n n"]] | Sequence[Float[Tensor, "n n"]]

# Eigenvectors added to the bundle at each full eigendecomposition, and inner cuts at each small.
_FRESH = 4
_INNER_LIMIT = 400


@dataclass(frozen=True, eq=False, repr=False)
class BestRates(ShortRepr):
    """The best λ_min/mean over per-core rates, with its certificate.

    Attributes:
        multipliers: m_k by core, relative to equal rates: Σ m_k tr K_k = tr K.
        primal: λ_min/mean of Σ m_k K_k, attained; 0.0 if below its own rounding.
        dual: a number that λ_min/mean exceeds for no rates whatever, by weak duality.
        equal: λ_min/mean of K itself, all m_k = 1.
        rounding: size of the errors of these numbers in float64.
        evaluations: eigendecompositions of the full kernel.
    """

    multipliers: Mapping[str, float]
    primal: float
    dual: float
    equal: float
    rounding: float
    evaluations: int

    @property
    def gap(self) -> float:
        """dual − primal: the optimum lies between."""
        return self.dual - self.primal

    def as_bound(self) -> Bound:
        """The dual value as a bound on λ_min/mean over all scalings, the primal beside it."""
        return conclude(
            lambda: self.dual,
            name="best-core-rates",
            equation="13",
            form="sharper",
            bounds="λ_min/mean eigenvalue of the kernel over all per-core rates and scalar gauges",
            ingredients={"gap": self.gap, "equal_rates": self.equal, "rounding": self.rounding},
            trivial=1.0,
            measured=self.primal,
        )


@takes_arrays
def best_rates(
    kernels: CoreKernels,
    *,
    least_share: float = 0.0,
    tolerance: float = 1e-4,
    evaluations: int = 60,
) -> BestRates:
    """Maximize λ_min(Σ c_k K_k) at fixed trace, by a spectral bundle with linear programs.

    The least eigenvectors met so far span a subspace Q. On it the problem is small and solved by
    cutting planes; its dual ρ, lifted as Q ρ Qᵀ, is a density matrix of the whole problem, so the
    upper bound is valid whatever the solver did (Helmberg and Rendl 2000 for the method).

    Args:
        kernels: K_k by name, or a sequence (named "0", "1", …), such as `Jacobian.core_grams()`.
        least_share: every core keeps at least this share of the trace, in [0, 1/K]; with 0 the
            best may freeze a core, which a learning rate can do and a gauge only in the limit.
        tolerance: stop when gap ≤ tolerance · dual.
        evaluations: at most so many eigendecompositions; look at `gap`.

    Returns:
        Multipliers and the two values. A core whose kernel is zero gets 1: nothing depends on it.

    Raises:
        InputError: no kernel, kernels of different sizes, all of them zero, or a share too large.

    Cost: `evaluations` partial eigendecompositions of n × n, usually about ten.

    Example:
        >>> parts = {"A": torch.diag(torch.tensor([4.0, 0.0])), "B": torch.diag(torch.ones(2))}
        >>> best = best_rates(parts)
        >>> {name: round(m, 3) for name, m in best.multipliers.items()}
        {'A': 0.0, 'B': 3.0}
        >>> round(best.primal, 4), round(best.dual, 4), round(best.equal, 4)
        (1.0, 1.0, 0.3333)
    """
    named, traces = _prepared(kernels)
    live = [name for name, trace in traces.items() if trace > 0]
    if not 0 <= least_share * len(live) <= 1:
        raise InputError(
            f"least_share={least_share} must lie between 0 and 1/{len(live)} for {len(live)} cores "
            "with a kernel."
        )
    size = len(named[live[0]])
    stack = np.stack([named[name].numpy() * (size / traces[name]) for name in live])
    total = sum(traces[name] for name in live)
    equal_share = np.array([traces[name] / total for name in live])
    solved = _bundle(stack, equal_share, least_share, tolerance, evaluations)
    multipliers = dict.fromkeys(named, 1.0)
    for name, share in zip(live, solved.shares, strict=True):
        multipliers[name] = float(share) * total / traces[name]
    return BestRates(
        multipliers,
        solved.primal if solved.primal > solved.rounding else 0.0,
        max(solved.dual, 0.0),
        solved.start if solved.start > solved.rounding else 0.0,
        solved.rounding,
        solved.evaluations,
    )


def core_scales(multipliers: Mapping[str, float]) -> dict[str, float]:
    """g_k with Π g_k = 1 and g_k⁻² ∝ m_k: the gauge with the kernel of these rates, rescaled.

    Multiplying core k by g_k leaves the weights and makes the kernel Σ m_k K_k/(Π m)^(1/K), for
    cores that all enter by the same degree.

    Raises:
        InputError: a multiplier that is not positive: no finite gauge freezes a core.

    Example:
        >>> core_scales({"A": 4.0, "B": 0.25})
        {'A': 0.5, 'B': 2.0}
    """
    if not multipliers or not all(0 < m < math.inf for m in multipliers.values()):
        raise InputError(
            f"multipliers {dict(multipliers)} must all be positive: a core with rate 0 is frozen, "
            "which no finite gauge does; use best_rates(…, least_share=…)."
        )
    mean = sum(math.log(m) for m in multipliers.values()) / len(multipliers)
    return {name: math.exp((mean - math.log(m)) / 2) for name, m in multipliers.items()}


@takes_arrays
def scaled_kernel(kernels: CoreKernels, multipliers: Mapping[str, float]) -> Float[Tensor, "n n"]:
    """Σ m_k K_k in float64.

    Raises:
        InputError: names that differ.
    """
    named, _ = _prepared(kernels)
    if set(named) != set(multipliers):
        raise InputError(
            f"multipliers of {sorted(multipliers)} do not match the cores {sorted(named)}."
        )
    return torch.stack([multipliers[name] * K for name, K in named.items()]).sum(dim=0)


def _prepared(kernels: CoreKernels) -> tuple[dict[str, Tensor], dict[str, float]]:
    items = (
        kernels.items()
        if isinstance(kernels, Mapping)
        else ((str(k), K) for k, K in enumerate(kernels))
    )
    named = {name: check_kernel(K, f"the kernel of core {name}").cpu() for name, K in items}
    shapes = {tuple(K.shape) for K in named.values()}
    traces = {name: float(K.diagonal().sum()) for name, K in named.items()}
    if len(shapes) != 1 or not any(trace > 0 for trace in traces.values()):
        raise InputError(
            f"per-core kernels of shapes {sorted(shapes)} and traces {traces} cannot be weighed: "
            "give kernels of one size, at least one of them not zero."
        )
    return named, traces


@dataclass
class _Solved:
    shares: np.ndarray
    primal: float
    dual: float
    start: float
    rounding: float
    evaluations: int


def _bundle(
    stack: np.ndarray, start: np.ndarray, floor: float, tolerance: float, evaluations: int
) -> _Solved:
    size = stack.shape[1]
    fresh = min(size, _FRESH + len(stack))
    shares = floor + (1 - floor * len(stack)) * start
    first = float(_least(_mix(stack, start), 1)[0][0])
    solved = _Solved(shares, -math.inf, math.inf, first, _rounding(stack), 1)
    basis = np.empty((size, 0))
    trial = shares
    while solved.evaluations < evaluations:
        values, vectors = _least(_mix(stack, trial), fresh)
        solved.evaluations += 1
        if values[0] > solved.primal:
            solved.primal, solved.shares = float(values[0]), trial
        basis = _extended(basis, vectors)
        small = np.einsum("ip,kij,jq->kpq", basis, stack, basis, optimize=True)
        trial, upper = _cutting_planes(small, floor, tolerance / 4, solved.rounding)
        solved.dual = min(solved.dual, upper)
        if solved.dual - solved.primal <= tolerance * solved.dual + solved.rounding:
            break
    return solved


def _rounding(stack: np.ndarray) -> float:
    """Bound on the error of λ_min of a mixture Σ s_k A_k with Σ s_k = 1 and mean eigenvalue 1.

    With u = ε/2, c cores of n rows and R the largest row sum of an |A_k|, which no mixture exceeds
    in norm: an entry is a sum of c products, each of a number rounded three times (c + 3 roundings,
    at most (c + 3)·u·R in norm); dividing by a trace of n terms rescales λ_min ≤ 1 ≤ R by n + 2
    roundings; the rest, (n + c + 1)·u·R, is left to the backward error of the solver.
    """
    count, size = len(stack), stack.shape[1]
    return (size + count + 3) * np.finfo(float).eps * float(np.abs(stack).sum(axis=2).max())


def _least(matrix: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The least eigenvalues and their vectors, ascending.

    By bisection and inverse iteration: LAPACK's default for a part of the spectrum (MRRR) was off
    by 34 ε at n = 4, where bisection errs by less than ε.
    """
    return linalg.eigh(matrix, subset_by_index=[0, count - 1], driver="evx")


def _cutting_planes(
    stack: np.ndarray, floor: float, tolerance: float, rounding: float
) -> tuple[np.ndarray, float]:
    """Shares that maximize λ_min of a small stack, and a certified upper bound on it."""
    count = len(stack)
    low, upper = -math.inf, math.inf
    best = trial = np.full(count, 1 / count)
    cuts = np.empty((0, count))
    for _ in range(_INNER_LIMIT):
        values, vectors = np.linalg.eigh(_mix(stack, trial))
        if values[0] > low:
            low, best = float(values[0]), trial
        near = vectors[:, : min(len(values), count + 1)]
        cuts = np.vstack([cuts, np.einsum("pj,kpq,qj->jk", near, stack, near)])
        proposed, weights = _linear_program(cuts, floor)
        upper = min(upper, _dual_value(weights @ cuts, floor))
        if upper - low <= tolerance * abs(upper) + rounding / 2:
            break
        # Halfway to the best point so far: the vertices of the program alone oscillate.
        trial = 0.5 * (best + proposed)
    return best, upper


def _linear_program(cuts: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """argmax over shares of the least cut, and the weights of the cuts in its dual."""
    rows, count = cuts.shape
    scale = max(float(np.abs(cuts).max()), np.finfo(float).tiny)
    solution = optimize.linprog(
        np.r_[np.zeros(count), -1.0],
        A_ub=np.hstack([-cuts / scale, np.ones((rows, 1))]),
        b_ub=np.zeros(rows),
        A_eq=np.r_[np.ones(count), 0.0][None],
        b_eq=[1.0],
        bounds=[(floor, 1.0)] * count + [(None, None)],
        method="highs-ds",
    )
    weights = np.maximum(-solution.ineqlin.marginals, 0.0)
    shares = np.maximum(solution.x[:-1], floor)
    return shares / shares.sum(), weights / weights.sum()


def _dual_value(overlaps: np.ndarray, floor: float) -> float:
    """max over feasible shares of Σ w_k ⟨A_k, ρ⟩, from the overlaps ⟨A_k, ρ⟩."""
    return float(floor * overlaps.sum() + (1 - floor * len(overlaps)) * overlaps.max())


def _mix(stack: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return np.tensordot(shares, stack, axes=1)


def _extended(basis: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """An orthonormal basis of both; what is already there within rounding is not added twice."""
    for _ in range(2):  # twice is enough (Kahan)
        fresh = fresh - basis @ (basis.T @ fresh)
    left, values, _ = np.linalg.svd(fresh, full_matrices=False)
    return np.hstack([basis, left[:, values > 1e-10]])
