"""How well a generated head can represent a target: eqs 5–9, each with a form that can be proved.

Errors of functions are root mean squares over given samples, ‖g‖ = √((1/N) Σ ‖g(x_n)‖²).
"""

import math
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.bounds.bound import Assumption, Bound, conclude, rests_on
from ntklab.errors import InputError, unknown

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


@takes_arrays
def barron_moment(
    amplitudes: Float[Tensor, " K"], frequencies: Float[Tensor, "K d"], *, activation: Sigma
) -> float:
    """Σ |a_k| ‖ω_k‖^p of a sum of cosines: p = 1 for sigmoidal σ, 2 for ReLU (second moment).

    Args:
        amplitudes: a_k of Σ a_k cos(ω_k·x + b_k).
        frequencies: ω_k.
        activation: of the network that approximates.

    Example:
        >>> import torch
        >>> barron_moment(torch.tensor([2.0]), torch.tensor([[3.0, 4.0]]), activation="relu")
        50.0
    """
    power = 2 if activation == "relu" else 1
    return float(amplitudes.abs() @ frequencies.norm(dim=1) ** power)


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
        >>> import torch
        >>> from ntklab.bounds import truncation_bound
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
