"""How much of r(r+1)/2 > KN is needed: the exact threshold for almost every P."""

from typing import Any

import numpy as np

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from paper_checks.lora_rank._constructed import trapped
from paper_checks.lora_rank._landscape import Landscape, descend, examine, squared
from paper_checks.lora_rank._search import perturbed

CLAIM = Claim(
    id="threshold",
    title="Whether the threshold is sharp",
    words="r(r+1)/2 > KN is the rank that LoRA needs: below it spurious minima appear.",
    formula=r"r(r+1)/2 \le KN \;\Rightarrow\; \text{some features and } P \text{ have a spurious "
    r"minimum}",
    confidence="L",
    assumptions=(
        "the paper proves that the condition suffices; this reads it as the rank to choose",
        "features may be chosen; P outside a set of measure zero",
    ),
    source="arXiv 2402.11867, theorem 4.1 read as a rule",
)
SAMPLE = Sample(
    "features planted around a stationary point",
    quick=2,
    why="What no features can do is decided by the best features for it, not by a task.",
)
_MENDED = (
    "For almost every P no spurious point of second order exists if r(r+3)/2 > KN, and at "
    "KN = r(r+3)/2 one exists. Such a point has full rank; S then has a null space of dimension r "
    "and a negative eigenvalue. Steps along the two change the outputs in r(r+1)/2 + r ways, "
    "which KN outputs must tell apart, or a step that they do not see descends."
)


def sharp(rank: int) -> int:
    """r(r+3)/2, from which on a spurious point exists."""
    return rank * (rank + 3) // 2


def pinned_row(rank: int, seed: int) -> dict[str, Any]:
    """The constructed point at KN = r(r+3)/2 after a small P: does it stay spurious?"""
    landscape, Q = trapped(rank, pinned=True)
    landscape = perturbed(landscape, np.random.default_rng(seed))
    point = descend(landscape, Q)
    return _row("constructed", rank, landscape.sizes[0], seed, [point])


def planted_row(rank: int, count: int, seed: int, draws: int) -> dict[str, Any]:
    """Random features for which a random Q of full rank is stationary, S being indefinite.

    M is drawn with the null space that stationarity asks for and a singular value above λ; all
    features but the last are Gaussian, strong or weak, and the last makes their sum M. The least
    curvature then tells whether any of them made a point of second order.
    """
    rng = np.random.default_rng(10_000 * rank + 100 * count + seed)
    points = [_planted(rank, count, rng) for _ in range(draws)]
    return _row("planted", rank, count, seed, points)


def _planted(rank: int, count: int, rng: np.random.Generator) -> Any:
    size = rank + 2
    left = np.linalg.qr(rng.normal(size=(size, size)))[0]
    right = np.linalg.qr(rng.normal(size=(size, size)))[0]
    singular = np.concatenate([-np.ones(rank), [1.01 + rng.random()], [rng.random()]])
    M = left @ np.diag(singular) @ right.T
    mix = rng.normal(size=(rank, rank))
    u, v = left[:, :rank] @ mix, right[:, :rank] @ mix
    slope = np.concatenate([rng.normal(size=count - 1) * rng.choice([0.0, 1.0]), [1.0]])
    G = rng.normal(size=(count, size, size)) * 10 ** rng.uniform(0, 1.5)
    G[-1] = M - np.tensordot(slope[:-1], G[:-1], axes=1)
    targets = np.einsum("qmn,mr,nr->q", G, u, v) - slope
    return examine(Landscape(G, squared(targets), decay=1.0), np.vstack([u, v]))


def _row(name: str, rank: int, count: int, seed: int, points: list[Any]) -> dict[str, Any]:
    return {
        "features": name,
        "rank": rank,
        "KN": count,
        "paper": rank * (rank + 1) // 2,
        "sharp": sharp(rank),
        "seed": seed,
        "points": len(points),
        "spurious": sum(point.is_spurious for point in points),
        "curvature": max(point.curvature for point in points),
    }


def measure(effort: Effort) -> Measured:
    """Constructed points at the mended threshold; planted ones below it and at it."""
    rows = []
    draws = 40 if effort.full else 15
    for seed in SAMPLE.seeds(effort):
        for rank in (1, 2, 3):
            rows.append(pinned_row(rank, seed))
            rows += [
                planted_row(rank, count, seed, draws)
                for count in range(rank * (rank + 1) // 2, sharp(rank) + 1)
            ]
    return collect(rows)


def collect(rows: list[dict[str, Any]]) -> Measured:
    """Spurious points between the two thresholds, and at the mended one."""
    between = [row for row in rows if row["paper"] <= row["KN"] < row["sharp"]]
    at = [row for row in rows if row["KN"] >= row["sharp"]]
    return Measured(
        {
            "between": sum(row["points"] for row in between),
            "between_spurious": sum(row["spurious"] for row in between),
            "at": sum(row["points"] for row in at),
            "at_spurious": sum(row["spurious"] for row in at),
            "ranks_reached": len({row["rank"] for row in at if row["spurious"]}),
            "ranks": len({row["rank"] for row in rows}),
            "largest_curvature": max((row["curvature"] for row in between), default=None),
        },
        rows,
        len({row["seed"] for row in rows}),
    )


def judge(measured: Measured) -> Finding:
    """OK if spurious points appear at once, MEND if only from r(r+3)/2 on."""
    v = measured.values
    if v["between_spurious"]:
        return Finding(
            Verdict.OK,
            f"{v['between_spurious']} of {v['between']} planted points with r(r+1)/2 ≤ KN < "
            "r(r+3)/2 are spurious points of second order.",
        )
    if v["ranks_reached"] < v["ranks"]:
        return Finding(
            Verdict.FALSE,
            f"No spurious point was found at KN ≥ r(r+3)/2 for {v['ranks'] - v['ranks_reached']} "
            f"of {v['ranks']} ranks, nor below.",
        )
    return Finding(
        Verdict.MEND,
        f"None of {v['between']} planted points with r(r+1)/2 ≤ KN < r(r+3)/2 is of second order "
        f"(largest least curvature {v['largest_curvature']:.2g}), while at KN = r(r+3)/2 "
        f"spurious points exist at all {v['ranks']} ranks and survive a small P "
        f"({v['at_spurious']} of {v['at']} tried).",
        _MENDED,
        r"\tfrac{r(r+3)}{2} > KN",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "between": "planted points between the thresholds",
        "between_spurious": "of them spurious",
        "at": "points tried at the mended threshold",
        "at_spurious": "of them spurious",
        "ranks_reached": "ranks with a spurious point there",
        "ranks": "ranks",
        "largest_curvature": "largest least curvature between the thresholds",
    },
    columns={
        **{"features": "features", "rank": "r", "KN": "KN", "paper": "r(r+1)/2"},
        **{"sharp": "r(r+3)/2", "seed": "seed", "points": "points", "spurious": "spurious"},
        "curvature": "largest least curvature",
    },
    sample=SAMPLE,
)
