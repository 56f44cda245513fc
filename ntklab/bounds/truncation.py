"""Eq 8: what cutting a dense head to a tensor train costs, its weights and its function.

Errors of functions are root mean squares over given samples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.activation import activation_named
from ntklab.arrays import takes_arrays
from ntklab.bounds.bound import Bound, conclude
from ntklab.display import ShortRepr
from ntklab.errors import InputError, unknown
from ntklab.tensor_train import TTShape, reconstruct, tt_svd, unfolding_tails

# GELU's slope Φ(u) + u φ(u) is steepest where its derivative (2 − u²) φ(u) vanishes, at u = √2.
GELU_LIPSCHITZ = 0.5 * (1 + math.erf(1.0)) + math.exp(-1.0) / math.sqrt(math.pi)

#: Lipschitz constants of the activations, all with σ(0) = 0.
LIPSCHITZ = {"identity": 1.0, "relu": 1.0, "tanh": 1.0, "gelu": GELU_LIPSCHITZ}


@takes_arrays
def root_mean_square(outputs: Float[Tensor, "N C"]) -> float:
    """‖g‖ = √((1/N) Σ ‖g(x_n)‖²) of a function's outputs.

    Example:
        >>> root_mean_square(torch.tensor([[3.0, 4.0]]))
        5.0
    """
    return float(outputs.square().sum(dim=1).mean().sqrt())


@takes_arrays
def tt_svd_bounds(
    tensor: Float[Tensor, "*modes"], ranks: int | Sequence[int]
) -> tuple[Bound, Bound, Bound]:
    """√max τ_k ≤ ε_best ≤ ε_TTSVD ≤ √Σ τ_k ≤ √(K−1) ε_best (Oseledets 2011, Theorem 2.2).

    τ_k is the energy of unfolding k beyond r_k; ε are Frobenius distances to the tensor.

    Args:
        tensor: w in the modes (m_1, …, m_K), real floating point.
        ranks: r_0..r_K, or one number.

    Returns:
        Lower bound √max τ_k and upper bound √Σ τ_k, both with the measured TT-SVD error, and the
        quasi-optimality ε_TTSVD/√(K−1) as a lower bound on ε_best.

    Raises:
        InputError: ranks of the wrong length, a tensor that has no modes.

    Cost: 2(K−1) SVDs of D entries.

    Example:
        >>> lower, upper, _ = tt_svd_bounds(torch.diag(torch.tensor([3.0, 2.0, 1.0])), 1)
        >>> round(lower.value, 6), round(upper.value, 6), upper.holds  # one bond: all agree
        (2.236068, 2.236068, True)
    """
    wide = tensor.detach().to(torch.float64)
    tails = unfolding_tails(wide, ranks)
    error = tt_svd(wide, ranks=ranks).error
    norm = float(wide.norm())
    common = {
        "norm": norm,
        "relative_error": error / norm if norm > 0 else 0.0,
        "largest_tail": max(tails, default=0.0),
        "sum_of_tails": sum(tails),
    }
    bonds = max(len(tails), 1)
    best = "Frobenius error of the best train of these ranks"
    svd = "Frobenius error of TT-SVD at these ranks"
    return (
        _tail_bound("tt-largest-tail", svd, math.sqrt(common["largest_tail"]), common, error, True),
        _tail_bound("tt-sum-of-tails", svd, math.sqrt(common["sum_of_tails"]), common, error),
        _tail_bound("tt-quasi-optimal", best, error / math.sqrt(bonds), common, None, True),
    )


def _tail_bound(
    name: str,
    what: str,
    value: float,
    ingredients: dict[str, float],
    measured: float | None,
    lower: bool = False,
) -> Bound:
    return conclude(
        lambda: value,
        name=name,
        equation="8",
        form="sharper",
        bounds=what,
        ingredients=ingredients,
        direction="lower" if lower else "upper",
        trivial=0.0 if lower else ingredients["norm"],
        measured=measured,
    )


@takes_arrays
def truncation_bound(
    first: Float[Tensor, "d M"],
    second: Float[Tensor, "M C"],
    first_hat: Float[Tensor, "d M"],
    second_hat: Float[Tensor, "M C"],
    features: Float[Tensor, "N d"],
    *,
    activation: str = "relu",
    scale: float = 1.0,
) -> tuple[Bound, Bound]:
    """The error of the function when [vec W1; vec W2] is truncated: the provable form of eq 8.

    ‖f − f̂‖ ≤ |s| L_σ ‖φ‖ (‖W1‖₂‖W2 − Ŵ2‖₂ + ‖W1 − Ŵ1‖₂‖Ŵ2‖₂) for σ(0) = 0, with spectral
    norms and ‖φ‖ the root mean square. With ε² = ‖W1 − Ŵ1‖_F² + ‖W2 − Ŵ2‖_F² it is at most
    |s| L_σ ‖φ‖ √(‖W1‖₂² + ‖Ŵ2‖₂²) ε: the paper's C₂ ε_TT, and C₂ depends on M.

    Args:
        first: W1.
        second: W2.
        first_hat: Ŵ1, such as from TT-SVD.
        second_hat: Ŵ2.
        features: φ; both the norm and the measured distance are over these samples.
        activation: "identity", "relu", "tanh" or "gelu".
        scale: s of the head f = s σ(φ W1) W2.

    Returns:
        The provable form and the paper's, both with the measured root mean square ‖f − f̂‖.

    Raises:
        InputError: an unknown activation or shapes that do not fit.

    Example:
        >>> W = torch.eye(2)
        >>> provable, paper = truncation_bound(W, W, W, 0 * W, W, activation="identity")
        >>> round(provable.value, 6), round(provable.measured, 6)
        (1.0, 1.0)
    """
    if activation not in LIPSCHITZ:
        raise unknown("activation", activation, LIPSCHITZ)
    W1, W2, V1, V2, phi = (
        t.detach().to(torch.float64) for t in (first, second, first_hat, second_hat, features)
    )
    if W1.shape != V1.shape or W2.shape != V2.shape or phi.shape[1:] != W1.shape[:1]:
        raise InputError(
            f"factors {list(W1.shape)}, {list(W2.shape)} and their truncations {list(V1.shape)}, "
            f"{list(V2.shape)} must agree and fit features {list(phi.shape)}."
        )
    sigma = activation_named(activation).function
    gap = scale * (sigma(phi @ W1) @ W2 - sigma(phi @ V1) @ V2)
    numbers = {
        "lipschitz": LIPSCHITZ[activation],
        "feature_norm": root_mean_square(phi),
        "first_norm": _spectral(W1),
        "second_hat_norm": _spectral(V2),
        "first_error": _spectral(W1 - V1),
        "second_error": _spectral(W2 - V2),
        "epsilon": math.hypot(float((W1 - V1).norm()), float((W2 - V2).norm())),
    }
    outer = abs(scale) * numbers["lipschitz"] * numbers["feature_norm"]
    provable = outer * (
        numbers["first_norm"] * numbers["second_error"]
        + numbers["first_error"] * numbers["second_hat_norm"]
    )
    c2 = outer * math.hypot(numbers["first_norm"], numbers["second_hat_norm"])
    measured = root_mean_square(gap)
    what = "root mean square distance of the outputs before and after truncation"
    return (
        conclude(
            lambda: provable,
            name="truncation",
            equation="8",
            form="mended",
            bounds=what,
            ingredients=numbers,
            measured=measured,
        ),
        conclude(
            lambda: c2 * numbers["epsilon"],
            name="truncation-frobenius",
            equation="8",
            form="paper",
            bounds=what,
            ingredients={**numbers, "c2": c2},
            measured=measured,
        ),
    )


@dataclass(frozen=True, eq=False, repr=False)
class TruncatedHead(ShortRepr):
    """A dense head after its weights were cut to a train, with the bounds of eq 8.

    Attributes:
        first: Ŵ1.
        second: Ŵ2.
        lower: lower bound on the error of the weights, see `tt_svd_bounds`.
        upper: upper bound on it.
        function: both forms of `truncation_bound`, the provable one first.
    """

    first: Float[Tensor, "d M"]
    second: Float[Tensor, "M C"]
    lower: Bound
    upper: Bound
    function: tuple[Bound, Bound]


@takes_arrays
def truncate_head(
    first: Float[Tensor, "d M"],
    second: Float[Tensor, "M C"],
    features: Float[Tensor, "N d"],
    shape: TTShape,
) -> TruncatedHead:
    """The nearest head by TT-SVD whose weights a train of this shape can hold (R_k = r_k s_k).

    Args:
        first: W1 of σ(φ W1) W2 with σ = ReLU.
        second: W2.
        features: φ on which the functions are compared.
        shape: of the train that generates [vec W1; vec W2].

    Raises:
        InputError: a shape that does not hold the weights, or features that do not fit.

    Cost: 4 (K−1) SVDs of D entries.

    Example:
        >>> from ntklab.tensor_train import plan
        >>> generator = torch.Generator().manual_seed(0)
        >>> first, second = (torch.randn(*s, generator=generator) for s in ((4, 8), (8, 2)))
        >>> cut = truncate_head(first, second, torch.eye(4), plan(4, 2, 8, ranks=1).shape)
        >>> cut.first.shape, cut.upper.holds, cut.function[0].holds
        (torch.Size([4, 8]), True, True)
    """
    flat = torch.cat([first.reshape(-1), second.reshape(-1)])
    if flat.numel() != shape.out_size:
        raise InputError(
            f"a train of {shape.out_size} weights cannot hold the {flat.numel()} of this head."
        )
    weights = flat.reshape(shape.out_dims)
    lower, upper, _ = tt_svd_bounds(weights, shape.bond_ranks)
    cut = reconstruct(tt_svd(weights, ranks=shape.bond_ranks).cores).reshape(-1)
    first_hat = cut[: first.numel()].reshape(first.shape)
    second_hat = cut[first.numel() :].reshape(second.shape)
    function = truncation_bound(first, second, first_hat, second_hat, features)
    return TruncatedHead(first_hat, second_hat, lower, upper, function)


def _spectral(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, ord=2))
