"""No spurious minima above the threshold (Jang et al., theorem 4.1), and what P is for."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.errors import InputError
from paper_checks.lora_rank._constructed import trapped
from paper_checks.lora_rank._landscape import Landscape, descend, squared
from paper_checks.lora_rank._search import (
    from_many_starts,
    gaussian_features,
    perturbed,
)

CLAIM = Claim(
    id="no_spurious",
    title="No spurious minima above the threshold",
    words="If r(r+1)/2 > KN, then for almost every small perturbation P all points of second "
    "order of the linearized, weight-decayed loss of LoRA are global minima.",
    formula=r"\tfrac{r(r+1)}{2} > KN \;\Rightarrow\; \text{every SOSP of } \hat L(uv^\top) + "
    r"\tfrac\lambda2\lVert Q\rVert_F^2 + \tfrac12\langle P, QQ^\top\rangle \text{ is global}",
    assumptions=(
        "outputs linear in the update (kernel regime)",
        "convex, twice differentiable loss; λ ≥ 0",
        "P positive semidefinite, outside a set of measure zero",
    ),
    source="arXiv 2402.11867, theorem 4.1",
)
SAMPLE = Sample(
    "Gaussian features, and features made to trap",
    quick=2,
    why="Certificates need the whole Hessian; the theorem knows no task.",
)


def above(rank: int, count: int) -> bool:
    """Whether r(r+1)/2 > KN."""
    return rank * (rank + 1) // 2 > count


def trapped_row(rank: int, seed: int, *, with_p: bool) -> dict[str, Any]:
    """Where a descent ends that begins at a constructed point of second order."""
    landscape, Q = trapped(rank)
    if with_p:
        landscape = perturbed(landscape, np.random.default_rng(seed))
    return row_of("made to trap", landscape, rank, seed, [descend(landscape, Q)])


def gaussian_row(rank: int, count: int, seed: int, starts: int) -> dict[str, Any]:
    """Where descents from random starts end, for Gaussian features with P."""
    rng = np.random.default_rng(1000 * count + seed)
    G = gaussian_features(count, 5, 4, rng)
    landscape = perturbed(Landscape(G, squared(3 * rng.normal(size=count)), decay=0.3), rng)
    return row_of("Gaussian", landscape, rank, seed, from_many_starts(landscape, rank, starts, rng))


def row_of(
    name: str, landscape: Landscape, rank: int, seed: int, points: Iterable[Any]
) -> dict[str, Any]:
    """Counts of one landscape."""
    points = [point for point in points if point.second_order]
    count = landscape.sizes[0]
    return {
        "features": name,
        "P": "P" if landscape.perturbation is not None else "0",
        "rank": rank,
        "KN": count,
        "above": above(rank, count),
        "seed": seed,
        "points": len(points),
        "spurious": sum(point.is_spurious for point in points),
        "certified": sum(point.is_global for point in points),
    }


def measure(effort: Effort) -> Measured:
    """Both sides of the threshold, with P; and P = 0 on the features made to trap."""
    starts = 10 if effort.full else 4
    rows = []
    for seed in SAMPLE.seeds(effort):
        for rank in (1, 2, 3, 4):
            rows.append(trapped_row(rank, seed, with_p=True))
        for rank, count in ((2, 2), (2, 3), (3, 5), (3, 6), (1, 8)):
            rows.append(gaussian_row(rank, count, seed, starts))
    rows += [trapped_row(rank, 0, with_p=False) for rank in (3, 4)]
    return collect(rows, len(SAMPLE.seeds(effort)))


def collect(rows: Iterable[dict[str, Any]], seeds: int) -> Measured:
    """Spurious points on either side of the threshold."""
    rows = list(rows)

    def total(name: str, **where: Any) -> int:
        agree = (r for r in rows if all(r[key] == value for key, value in where.items()))
        return sum(row[name] for row in agree)

    return Measured(
        {
            "above": total("points", above=True, P="P"),
            "above_spurious": total("spurious", above=True, P="P"),
            "above_certified": total("certified", above=True, P="P"),
            "below": total("points", above=False, P="P"),
            "below_spurious": total("spurious", above=False, P="P"),
            "unperturbed": total("points", above=True, P="0"),
            "unperturbed_spurious": total("spurious", above=True, P="0"),
        },
        rows,
        seeds,
    )


def judge(measured: Measured) -> Finding:
    """FALSE at one spurious point above the threshold with P; OK if all are certified."""
    v = measured.values
    if v["above_spurious"]:
        return Finding(
            Verdict.FALSE,
            f"{v['above_spurious']} of {v['above']} points of second order above the threshold, "
            "with P, are spurious.",
        )
    if not v["above"] or v["above_certified"] < v["above"]:
        raise InputError(
            f"of {v['above']} points of second order above the threshold only "
            f"{v['above_certified']} could be certified as global minima: no verdict."
        )
    without = (
        f" P is not a formality: with P = 0, {v['unperturbed_spurious']} of "
        f"{v['unperturbed']} constructed points above the threshold are spurious."
        if v["unperturbed_spurious"]
        else ""
    )
    return Finding(
        Verdict.OK,
        f"All {v['above']} points of second order that descents with P ended in above the "
        f"threshold are certified global minima; below it {v['below_spurious']} of "
        f"{v['below']} are spurious." + without,
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "above": "points of second order above the threshold, with P",
        "above_spurious": "of them spurious",
        "above_certified": "of them certified global minima",
        "below": "points of second order below it, with P",
        "below_spurious": "of them spurious",
        "unperturbed": "constructed points above it, P = 0",
        "unperturbed_spurious": "of them spurious",
    },
    columns={
        **{"features": "features", "P": "P", "rank": "r", "KN": "KN", "above": "above"},
        **{"seed": "seed", "points": "points", "spurious": "spurious", "certified": "global"},
    },
    sample=SAMPLE,
)
