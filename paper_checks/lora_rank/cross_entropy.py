"""Cross-entropy and the Polyak–Łojasiewicz inequality: whether it removes the rank threshold."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from paper_checks.lora_rank._landscape import Array, Landscape, descend, examine, logistic
from paper_checks.lora_rank._search import (
    from_many_starts,
    gaussian_features,
    spurious,
)
from paper_checks.lora_rank.dimension_count import DECAYS

CLAIM = Claim(
    id="cross_entropy",
    title="Cross-entropy without a threshold",
    words="With cross-entropy a Polyak–Łojasiewicz inequality holds, so that the threshold on the "
    "rank disappears: every rank trains to the global minimum, rank one included.",
    formula=r"\tfrac12\lVert\nabla F(Q)\rVert^2 \ge \mu\,(F(Q) - F^\ast),\ \mu > 0",
    confidence="M",
    assumptions=(
        "outputs linear in the update (kernel regime)",
        "which region: not in the abstract",
    ),
    source="arXiv 2605.03724, abstract",
)
SAMPLE = Sample(
    "two classes: Gaussian features, and features made to trap",
    quick=2,
    why="A constant μ > 0 is refuted by one sequence of points.",
)


def pl_ratio(landscape: Landscape, Q: Array, best: float) -> float:
    """½‖∇F‖²/(F − F*), which μ bounds from below where the inequality holds.

    Example:
        >>> import numpy as np
        >>> from paper_checks.lora_rank._landscape import Landscape, logistic
        >>> flat = Landscape(np.ones((1, 1, 1)), logistic(np.ones(1)))
        >>> pl_ratio(flat, np.zeros((2, 1)), 0.0)
        0.0
    """
    gradient = landscape.gradient(Q)
    return 0.5 * float((gradient * gradient).sum()) / (landscape.value(Q) - best)


def trapped_by_labels(scale: float = 1.0) -> tuple[Landscape, Array]:
    """A spurious point of rank one for two classes: three samples, 2 × 2 matrices.

    Two samples share the features E₀₁ + E₁₀ (times 4) and bear opposite labels: at output 0 their
    slopes cancel and their curvatures add. The third sees E₀₀ alone, of which uvᵀ = `scale`·E₁₁
    shows it nothing; a step along E₀₀ would fit it, but both factors must leave E₁₁ for that, and
    the first two samples stand against it.
    """
    turn = 4 * np.array([[0.0, 1.0], [1.0, 0.0]])
    look = np.array([[1.0, 0.0], [0.0, 0.0]])
    G = np.stack([turn, turn, look])
    Q = np.sqrt(scale) * np.array([[0.0], [1.0], [0.0], [1.0]])
    return Landscape(G, logistic(np.array([1.0, -1.0, 1.0]))), Q


def escape(landscape: Landscape, Q: Array) -> float:
    """The lowest loss of rank one on a ray from the origin to the third sample's direction."""
    ray = np.array([[1.0], [0.0], [1.0], [0.0]])
    return min(landscape.value(size * ray) for size in (1.0, 3.0, 10.0))


def gaussian_row(count: int, decay: float, seed: int, starts: int) -> dict[str, Any]:
    """Rank one on Gaussian features with random labels: minima, and the ratio of PL."""
    rng = np.random.default_rng(1000 * count + seed)
    G = gaussian_features(count, 6, 6, rng)
    landscape = Landscape(G, logistic(rng.choice([-1.0, 1.0], size=count)), decay=decay)
    points = from_many_starts(landscape, 1, starts, rng)
    best = min((point.value for point in points), default=0.0) if decay else 0.0
    near_origin = 1e-3 * rng.normal(size=(12, 1))
    return {
        "features": "Gaussian",
        "KN": count,
        "decay": decay,
        "seed": seed,
        "points": len(points),
        "spurious": len(spurious(points)) if decay else 0,
        "pl_near_origin": pl_ratio(landscape, near_origin, best),
        "pl_far": _far(landscape, points[0].Q) if points and not decay else None,
    }


def _far(landscape: Landscape, Q: Array) -> float:
    """The ratio where the loss is small, against the infimum 0: far out on a fitting ray."""
    return pl_ratio(landscape, 1.5 * Q / max(1.0, float(np.abs(Q).max())) ** 0.5, 0.0)


def constructed_row(seed: int) -> dict[str, Any]:
    """The point made to trap, and whether a descent from nearby stays at its loss."""
    landscape, Q = trapped_by_labels()
    point = examine(landscape, Q)
    lower = escape(landscape, Q)
    rng = np.random.default_rng(seed)
    near = descend(landscape, Q + 1e-3 * rng.normal(size=Q.shape))
    caught = point.second_order and near.value > lower + 1e-3
    return {
        "features": "made to trap",
        "KN": 3,
        "decay": 0.0,
        "seed": seed,
        "points": int(point.second_order),
        "spurious": int(caught),
        "pl_near_origin": pl_ratio(landscape, np.zeros_like(Q), 0.0),
        "pl_far": None,
    }


def measure(effort: Effort) -> Measured:
    """Minima at rank one, and the smallest ratio of PL near the origin and far out."""
    rows = [constructed_row(seed) for seed in SAMPLE.seeds(effort)]
    for count in (3, 6, 12) if effort.full else (6, 12):
        for decay in DECAYS:
            for seed in SAMPLE.seeds(effort):
                rows.append(gaussian_row(count, decay, seed, 6 if effort.full else 3))
    return collect(rows)


def collect(rows: Iterable[dict[str, Any]]) -> Measured:
    """The smallest ratios, and the landscapes with spurious points."""
    rows = list(rows)
    made = [row for row in rows if row["features"] == "made to trap"]
    drawn = [row for row in rows if row["features"] == "Gaussian" and row["decay"] > 0]
    return Measured(
        {
            "pl_near_origin": min(row["pl_near_origin"] for row in rows),
            "pl_far": min((r["pl_far"] for r in rows if r["pl_far"] is not None), default=None),
            "made": len(made),
            "made_spurious": sum(row["spurious"] > 0 for row in made),
            "drawn": len(drawn),
            "drawn_spurious": sum(row["spurious"] > 0 for row in drawn),
        },
        rows,
        len({row["seed"] for row in rows}),
    )


#: A ratio below this share is no constant that training could use.
_NONE = 1e-3


def judge(measured: Measured) -> Finding:
    """FALSE if the inequality fails and spurious minima exist; MEND if only the former."""
    v = measured.values
    fails = v["pl_near_origin"] < _NONE
    traps = v["made_spurious"] or v["drawn_spurious"]
    numbers = (
        f"½‖∇F‖²/(F − F*) falls to {v['pl_near_origin']:.2g} near u = v = 0, which is a saddle"
        + ("" if v["pl_far"] is None else f", and to {v['pl_far']:.2g} where the loss is small")
        + f". At rank one a spurious minimum stands in {v['made_spurious']} of {v['made']} "
        f"descents on features made for it and in {v['drawn_spurious']} of {v['drawn']} Gaussian "
        "landscapes with weight decay."
    )
    if fails and traps:
        return Finding(
            Verdict.FALSE,
            numbers,
            "The inequality holds where the kernel of the factors is bounded below and the loss "
            "is bounded away from 0: along such a path cross-entropy falls, at the rate 1/t. That "
            "is no statement about the landscape, whose threshold stays.",
        )
    if fails:
        return Finding(
            Verdict.MEND, numbers, "The inequality holds away from the origin and from loss 0."
        )
    if traps:
        return Finding(Verdict.REGIME, numbers, "The region of the inequality must be named.")
    return Finding(Verdict.OK, numbers)


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "pl_near_origin": "smallest ½‖∇F‖²/(F − F*) near the origin",
        "pl_far": "smallest where the loss is small",
        "made": "descents on features made to trap, rank one",
        "made_spurious": "of them caught above a lower loss",
        "drawn": "Gaussian landscapes with decay, rank one",
        "drawn_spurious": "of them with a spurious minimum",
    },
    columns={
        **{"features": "features", "KN": "KN", "decay": "λ", "seed": "seed", "points": "points"},
        **{"spurious": "spurious", "pl_near_origin": "PL ratio near 0", "pl_far": "PL ratio far"},
    },
    sample=SAMPLE,
)
