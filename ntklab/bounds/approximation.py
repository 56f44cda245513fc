"""How well a generated head can represent a target: eqs 5–9, each with a form that can be proved.

Errors of functions are root mean squares over given samples, ‖g‖ = √((1/N) Σ ‖g(x_n)‖²).
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.activation import activation_named
from ntklab.bounds.bound import Assumption, Bound, conclude, rests_on
from ntklab.errors import InputError, unknown
from ntklab.tensor_train import tt_svd, unfolding_tails

# GELU's slope Φ(u) + u φ(u) is steepest where its derivative (2 − u²) φ(u) vanishes, at u = √2.
GELU_LIPSCHITZ = 0.5 * (1 + math.erf(1.0)) + math.exp(-1.0) / math.sqrt(math.pi)

#: Lipschitz constants of the activations, all with σ(0) = 0.
LIPSCHITZ = {"identity": 1.0, "relu": 1.0, "tanh": 1.0, "gelu": GELU_LIPSCHITZ}

Sigma = Literal["sigmoid", "tanh", "relu", "identity", "gelu"]


def cross_entropy_lipschitz(*, margin: bool = False) -> float:
    """L_ce of eq 5: sup ‖p − e_y‖₂ = √2 in the logits, 1 for the logistic loss of a margin.

    Example:
        >>> round(cross_entropy_lipschitz(), 6), cross_entropy_lipschitz(margin=True)
        (1.414214, 1.0)
    """
    return 1.0 if margin else math.sqrt(2)


def risk_gap_bound(
    distance: float | Bound, *, margin: bool = False, measured: float | None = None
) -> Bound:
    """R(f) − R(h) ≤ L_ce E‖h − f‖₂ (eq 5); with the bound of `sum_bound` inside, eq 9.

    Args:
        distance: E‖h − f‖₂ or anything above it, such as the root mean square; or its bound.
        margin: the outputs are margins of two classes.
        measured: R(f) − R(h), both in nats of cross-entropy.

    Example:
        >>> round(risk_gap_bound(0.5).value, 6)
        0.707107
    """
    lipschitz = cross_entropy_lipschitz(margin=margin)
    inner = distance.value if isinstance(distance, Bound) else distance
    return conclude(
        lambda: lipschitz * (math.nan if inner is None else inner),
        name="risk-gap",
        equation="9" if isinstance(distance, Bound) else "5",
        form="mended",
        bounds="cross-entropy risk of f above that of the target h",
        ingredients={"lipschitz": lipschitz, **({} if inner is None else {"distance": inner})},
        assumptions=rests_on(distance) if isinstance(distance, Bound) else (),
        measured=measured,
    )


def barron_bound(
    *,
    width: int,
    constant: float,
    radius: float,
    activation: Sigma = "relu",
    biases: bool | None = None,
    measured: float | None = None,
) -> Bound:
    """Some network of M hidden units has ‖h − f_M‖ ≤ C₁/√M (eq 7, with its constant).

    Sigmoidal σ (sigmoid, tanh): C₁ = 2 r C_h, C_h = ∫ ‖ω‖ |ĥ|(dω), plus an output bias (Barron
    1993, Theorem 1). ReLU: C₁ = 2 r² C_{h,2}, C_{h,2} = ∫ ‖ω‖² |ĥ|(dω), plus a free affine part,
    which two units more can carry. Proof: for |z| ≤ c, e^(iz) − 1 − iz =
    −∫₀^c [(z − u)₊ e^(iu) + (−z − u)₊ e^(−iu)] du (Klusowski and Barron 2018), so on ‖x‖ ≤ r the
    rest of h lies in 2 r C_{h,2} times the convex hull of units of norm at most r, and Maurey's
    lemma gives the rate (Breiman 1993 has the rate with 4 r² for 2 r²).

    It says that a network *exists*; a trained one may be worse.

    Args:
        width: M.
        constant: C_h for sigmoidal σ, C_{h,2} for ReLU; see `barron_moment`.
        radius: r, the largest ‖x‖ over the measure in the norm (a sample's is enough for it).
        activation: σ; there is no such bound for "identity", nor a constant known here for "gelu".
        biases: whether hidden units have free biases (a constant feature gives them).
        measured: ‖h − f_M‖ of the best network known.

    Raises:
        InputError: for M < 1, a negative constant or radius, or an unknown activation.

    Example:
        >>> barron_bound(width=64, constant=2.0, radius=1.0, activation="tanh").value
        0.5
        >>> barron_bound(width=64, constant=2.0, radius=1.0, activation="identity").vacuous
        True
    """
    known = ("gelu", "identity", "relu", "sigmoid", "tanh")
    if activation not in known:
        raise unknown("activation", activation, known)
    if width < 1 or not (constant >= 0 and radius >= 0):
        raise InputError(
            f"width={width} must be at least 1, constant={constant} and radius={radius} ≥ 0."
        )
    relu = activation == "relu"
    factor = 2 * radius**2 if relu else 2 * radius
    proved = activation in ("relu", "sigmoid", "tanh")
    kind = Assumption("σ is sigmoidal or ReLU", proved, f"σ = {activation}")
    free = Assumption("hidden units have free biases", biases, "as told")
    weights = Assumption(
        "W1 and W2 are free, and h is a function of the features alone",
        None,
        "a train restricts both; see `truncation_bound`",
    )
    return conclude(
        lambda: factor * constant / math.sqrt(width),
        name="barron",
        equation="7",
        form="mended",
        bounds="L2 distance from the target to the nearest network of M hidden units",
        ingredients={
            "width": float(width),
            "barron_constant": constant,
            "radius": radius,
            "rate_constant": factor * constant,
        },
        assumptions=(kind, free, weights),
        measured=measured,
    )


def barron_moment(
    amplitudes: Float[Tensor, " K"], frequencies: Float[Tensor, "K d"], *, activation: Sigma
) -> float:
    """Σ |a_k| ‖ω_k‖^p of a sum of cosines: p = 1 for sigmoidal σ, 2 for ReLU (second moment).

    Args:
        amplitudes: a_k of Σ a_k cos(ω_k·x + b_k).
        frequencies: ω_k.
        activation: of the network that approximates.

    Example:
        >>> barron_moment(torch.tensor([2.0]), torch.tensor([[3.0, 4.0]]), activation="relu")
        50.0
    """
    power = 2 if activation == "relu" else 1
    return float(amplitudes.abs() @ frequencies.norm(dim=1) ** power)


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
        "feature_norm": float(phi.square().sum(dim=1).mean().sqrt()),
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
    measured = float(gap.square().sum(dim=1).mean().sqrt())
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


def sum_bound(barron: Bound, truncation: Bound, *, measured: float | None = None) -> Bound:
    """‖h − f‖ ≤ ‖h − f_MLP‖ + ‖f_MLP − f‖ (eq 6), the two bounded by eqs 7 and 8.

    The network of eq 7 and the one truncated in eq 8 must be the same, which cannot be checked:
    eq 7 only says that one exists. Look at the sum against M, not at its first term.

    Args:
        barron: eq 7, from `barron_bound`.
        truncation: eq 8, from `truncation_bound`.
        measured: ‖h − f‖ of a trained adapter.

    Example:
        >>> first = barron_bound(width=4, constant=1.0, radius=1.0)
        >>> second = truncation_bound(*[torch.eye(2)] * 5)[0]
        >>> sum_bound(first, second).value
        1.0
    """
    same = Assumption(
        "the dense network truncated is the one that eq 7 promises", None, "it is not constructed"
    )
    parts = {
        name: bound.value
        for name, bound in (("barron", barron), ("truncation", truncation))
        if bound.value is not None
    }
    return conclude(
        lambda: sum(parts.values()),
        name="approximation-sum",
        equation="6",
        form="mended",
        bounds="L2 distance from the target to the adapter",
        ingredients=parts,
        assumptions=(*rests_on(barron, truncation), same),
        measured=measured,
    )


def _spectral(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, ord=2))
