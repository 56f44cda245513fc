"""The theorem of Jang et al. with P = 0: an exact counterexample, and how likely it is."""

from typing import Any

import numpy as np

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from paper_checks.lora_rank._constructed import (
    exactly_indefinite,
    exactly_second_order,
    trapped,
)
from paper_checks.lora_rank._landscape import Landscape, descend, squared
from paper_checks.lora_rank._search import (
    from_many_starts,
    gaussian_features,
    perturbed,
)
from paper_checks.lora_rank.no_spurious import above

CLAIM = Claim(
    id="without_perturbation",
    title="The threshold without the perturbation",
    words="The perturbation P is a device of the proof: with r(r+1)/2 > KN and P = 0 there are no "
    "spurious points of second order either.",
    formula=r"P = 0,\ \tfrac{r(r+1)}{2} > KN \;\Rightarrow\; \text{no spurious SOSP}",
    confidence="L",
    assumptions=("not proved in the paper, whose training runs leave P out",),
    source="arXiv 2402.11867, reading of section 4 and of the experiments",
)
SAMPLE = Sample(
    "integer features made to trap, and Gaussian features",
    quick=2,
    why="A counterexample decides a statement on all features; exact arithmetic wants integers.",
)


def constructed_row(rank: int) -> dict[str, Any]:
    """The point of `trapped`, decided in exact arithmetic."""
    landscape, Q = trapped(rank)
    stationary = exactly_second_order(landscape, Q)
    return {
        "features": "integers made to trap",
        "rank": rank,
        "KN": len(landscape.features),
        "above": above(rank, len(landscape.features)),
        "seed": None,
        "points": int(stationary),
        "spurious": int(stationary and exactly_indefinite(landscape, Q)),
        "exact": True,
    }


def gaussian_row(rank: int, count: int, seed: int, starts: int) -> dict[str, Any]:
    """Descents from random starts on Gaussian features with P = 0."""
    rng = np.random.default_rng(1000 * count + seed)
    G = gaussian_features(count, 5, 4, rng)
    landscape = Landscape(G, squared(3 * rng.normal(size=count)), decay=0.3)
    points = from_many_starts(landscape, rank, starts, rng)
    return {
        "features": "Gaussian",
        "rank": rank,
        "KN": count,
        "above": above(rank, count),
        "seed": seed,
        "points": len(points),
        "spurious": sum(point.is_spurious for point in points),
        "exact": False,
    }


def measure(effort: Effort) -> Measured:
    """Constructed points at ranks 1 to 4, escapes from them by P, and Gaussian features."""
    rows = [constructed_row(rank) for rank in ((1, 2, 3, 4) if effort.full else (1, 2, 3))]
    escapes = 0
    for seed in SAMPLE.seeds(effort):
        landscape, Q = trapped(3)
        escapes += descend(perturbed(landscape, np.random.default_rng(seed)), Q).is_global
        for rank, count in ((2, 2), (3, 5), (4, 9)):
            rows.append(gaussian_row(rank, count, seed, 8 if effort.full else 3))
    return collect(rows, escapes, len(SAMPLE.seeds(effort)))


def collect(rows: list[dict[str, Any]], escapes: int, seeds: int) -> Measured:
    """Exact counterexamples above the threshold, and random points there."""
    exact = [row for row in rows if row["exact"] and row["above"]]
    drawn = [row for row in rows if not row["exact"] and row["above"]]
    return Measured(
        {
            "counterexamples": sum(row["spurious"] for row in exact),
            "tried": len(exact),
            "drawn": sum(row["points"] for row in drawn),
            "drawn_spurious": sum(row["spurious"] for row in drawn),
            "escapes": escapes,
            "seeds": seeds,
        },
        rows,
        seeds,
    )


def judge(measured: Measured) -> Finding:
    """FALSE at one exact counterexample or one drawn spurious point; else OK."""
    v = measured.values
    if v["counterexamples"] or v["drawn_spurious"]:
        row = next((r for r in measured.rows if r["above"] and r["spurious"]), measured.rows[0])
        return Finding(
            Verdict.FALSE,
            f"At r = {row['rank']} and KN = {row['KN']}, where r(r+1)/2 = "
            f"{row['rank'] * (row['rank'] + 1) // 2}, a landscape of small integers has a spurious "
            "point of second order: exact arithmetic. Such features are rare: of "
            f"{v['drawn']} points that descents on Gaussian features ended in, "
            f"{v['drawn_spurious']} are spurious, and a small P led out of the constructed point "
            f"in {v['escapes']} of {v['seeds']} draws.",
            "With P = 0 such a point is excluded if r ≥ KN; for almost every P if "
            "r(r+3)/2 > KN (see threshold).",
        )
    return Finding(
        Verdict.OK,
        f"None of {v['tried']} constructed and {v['drawn']} random points above the threshold is "
        "spurious with P = 0.",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "tried": "constructed landscapes above the threshold",
        "counterexamples": "of them with a spurious point, exactly",
        "drawn": "points on Gaussian features above the threshold",
        "drawn_spurious": "of them spurious",
        "escapes": "draws of P that led out of the constructed point",
        "seeds": "draws of P",
    },
    columns={
        **{"features": "features", "rank": "r", "KN": "KN", "above": "above", "seed": "seed"},
        **{"points": "points", "spurious": "spurious", "exact": "exact"},
    },
    sample=SAMPLE,
)
