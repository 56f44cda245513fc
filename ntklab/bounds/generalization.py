"""From a training risk to the risk: eqs 15, 20, 21 with the constants that the proofs give.

For N independent samples and losses in an interval of length M that are L-Lipschitz in the outputs,
with probability at least 1 − δ and for all f in F_B at once (Mohri, Rostamizadeh and Talwalkar
2018, Theorem 3.3, with the contraction of Ledoux and Talagrand 1991, or for vector outputs that of
Maurer 2016, which costs √2):

    R(f) ≤ R̂(f) + 2 [√2] L R_S(F_B) + 3 M √(ln(2/δ)/(2N)),   R_S the *empirical* complexity.

It covers the linearised model around a θ₀ that does not depend on the samples, and a B chosen
before seeing them; `radius_grid` buys the right to choose B afterwards.
"""

import math
from typing import NamedTuple

from ntklab.bounds.bound import Assumption, Bound, conclude, rests_on
from ntklab.errors import InputError

RISK = "risk on new samples"

INDEPENDENT = Assumption(
    "samples are independent draws of one distribution, and θ₀ is independent of them",
    None,
    "a property of the experiment, not of the numbers given",
)


class RadiusCell(NamedTuple):
    """One ball of the grid: its radius B_j, its share δ_j of the confidence, and j as `step`."""

    radius: float
    delta: float
    step: int


def radius_grid(norm: float, delta: float, *, unit: float = 1.0) -> RadiusCell:
    """The first ball of B_j = unit · 2^j, j = 0, 1, …, that holds a given norm.

    With δ_j = 6δ/(π²(j + 1)²), which sum to δ, a bound for every (B_j, δ_j) holds at once with
    probability 1 − δ, so j may depend on the data.

    Args:
        norm: ‖f − f₀‖_H, from data or not.
        delta: total probability of failure.
        unit: B_0, fixed before the data.

    Raises:
        InputError: for a negative norm, a unit that is not positive, or delta outside (0, 1).

    Example:
        >>> cell = radius_grid(5.0, 0.05)
        >>> cell.radius, cell.step, round(cell.delta, 6)
        (8.0, 3, 0.0019)
    """
    check_delta(delta)
    if not (0 <= norm < math.inf and 0 < unit < math.inf):
        raise InputError(f"norm={norm} must be finite and ≥ 0, and unit={unit} positive.")
    # A difference of logarithms, because the quotient may leave the range of floats.
    step = math.ceil(math.log2(norm) - math.log2(unit)) if norm > unit else 0
    if unit * 2.0**step < norm:  # the logarithms may round either way
        step += 1
    elif step > 0 and unit * 2.0 ** (step - 1) >= norm:
        step -= 1
    return RadiusCell(unit * 2.0**step, 6 * delta / (math.pi * (step + 1)) ** 2, step)


def risk_bound(
    *,
    train_risk: float,
    complexity: Bound,
    n_samples: int,
    lipschitz: float,
    loss_range: float,
    delta: float = 0.05,
    vector_outputs: bool = False,
    independent_range: Assumption | None = None,
    trivial: float | None = None,
    measured: float | None = None,
) -> Bound:
    """R ≤ R̂ + 2 [√2] L R_S + 3 M √(ln(2/δ)/(2N)) (eqs 15, 20; with eq 18 or 19 inside, eq 21).

    Args:
        train_risk: R̂, the mean loss of f on the N samples.
        complexity: an upper bound on R_S(F_B) of the ball that holds f, such as `trace_bound` at
            the radius of `radius_grid`; a `delta` among its ingredients is added to δ. If it has
            no value, neither has the risk.
        n_samples: N.
        lipschitz: L of the loss in the outputs, in Euclidean norm: √2 for softmax cross-entropy, 1
            for the logistic loss of a margin, 1/γ for the ramp loss at margin γ.
        loss_range: M, length of an interval that holds every loss; see `cross_entropy_ceiling`.
        delta: δ; with a grid, the cell's share.
        vector_outputs: f has several outputs, and R_S is doubly indexed.
        independent_range: how it is known that M holds on the whole distribution; unchecked if
            left out.
        trivial: what the risk is below anyway: 1 for an error rate, log C for cross-entropy.
        measured: the risk on held-out samples.

    Raises:
        InputError: for delta outside (0, 1), or N < 1.

    Example:
        >>> from ntklab.bounds.rademacher import trace_bound
        >>> import torch
        >>> R_S = trace_bound(torch.eye(400))
        >>> bound = risk_bound(train_risk=0.1, complexity=R_S, n_samples=400, lipschitz=1.0,
        ...                    loss_range=1.0, trivial=1.0)
        >>> round(bound.value, 4), bound.vacuous
        (0.4037, False)
    """
    check_delta(delta)
    if n_samples < 1:
        raise InputError(f"n_samples={n_samples} must be at least 1.")
    contraction = 2 * (math.sqrt(2) if vector_outputs else 1) * lipschitz
    deviation = deviation_term(loss_range, n_samples, delta)
    inner = complexity.value
    spread = independent_range or Assumption(
        "losses stay within the range M on the whole distribution", None, "range given, not proved"
    )
    return conclude(
        lambda: train_risk + contraction * _known(inner) + deviation,
        name=f"risk-by-{complexity.name}",
        equation="21" if complexity.equation == "19" else "15/20",
        form="paper" if complexity.form == "paper" and not vector_outputs else "mended",
        bounds=RISK,
        ingredients={
            "train_risk": train_risk,
            **({} if inner is None else {"complexity": inner}),
            "contraction": contraction,
            "deviation": deviation,
            "loss_range": loss_range,
            "lipschitz": lipschitz,
            "n_samples": float(n_samples),
            "delta": delta + complexity.ingredients.get("delta", 0.0),
        },
        assumptions=(*rests_on(complexity), INDEPENDENT, spread),
        trivial=trivial,
        measured=measured,
    )


def deviation_term(loss_range: float, n_samples: int, delta: float) -> float:
    """3 M √(ln(2/δ)/(2N)), with empirical complexity; twice McDiarmid and once its union.

    Example:
        >>> round(deviation_term(1.0, 1000, 0.05), 4)
        0.1288
    """
    return 3 * loss_range * math.sqrt(math.log(2 / delta) / (2 * n_samples))


def cross_entropy_ceiling(
    *, start: float, radius: float, kappa: float, n_outputs: int, margin: bool = False
) -> float:
    """M_ℓ: the largest cross-entropy on the ball F_B (theory, eq 15, mending (iii)).

    Softmax: ℓ ≤ ln C + max_c (f_c − f_y) ≤ ln C + √2 ‖f‖ and ‖f − f₀‖ ≤ B κ. Logistic loss of a
    margin m: ℓ ≤ ln 2 + |m₀| + B κ, κ then that of the margin's kernel.

    Args:
        start: the largest ‖f₀(x)‖₂, or |m₀(x)|, over the whole distribution; 0 for f₀ = 0.
        radius: B.
        kappa: √sup_x tr K(x, x) over the whole distribution, not only the sample.
        n_outputs: C; ignored with `margin`.
        margin: the outputs are margins of two classes.

    Raises:
        InputError: for a negative number, or fewer than 2 outputs without `margin`.

    Example:
        >>> round(cross_entropy_ceiling(start=0.0, radius=2.0, kappa=0.5, n_outputs=1, margin=True),
        ...       4)
        1.6931
    """
    if min(start, radius, kappa) < 0 or (n_outputs < 2 and not margin):
        raise InputError(
            f"start={start}, radius={radius}, kappa={kappa} must be ≥ 0, and n_outputs={n_outputs} "
            "at least 2 unless margin=True."
        )
    if margin:
        return math.log(2) + start + radius * kappa
    return math.log(n_outputs) + math.sqrt(2) * (start + radius * kappa)


def check_delta(delta: float) -> None:
    """Refuse a probability of failure outside (0, 1)."""
    if not 0 < delta < 1:
        raise InputError(f"delta={delta} is a probability of failure: give it between 0 and 1.")


def _known(value: float | None) -> float:
    if value is None:  # unreachable: rests_on lists a failed assumption for it
        raise ValueError("a bound without a value")
    return value
