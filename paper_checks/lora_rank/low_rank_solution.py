"""Full fine-tuning in the kernel regime has a solution of low rank (Jang et al., theorem 3.1)."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.errors import InputError
from paper_checks.lora_rank._landscape import (
    Array,
    Landscape,
    Point,
    descend,
    examine,
    squared,
)
from paper_checks.lora_rank._search import gaussian_features

CLAIM = Claim(
    id="low_rank_solution",
    title="A solution of low rank",
    words="With or without weight decay, full fine-tuning in the kernel regime has a global "
    "minimum whose rank r satisfies r(r+1)/2 ≤ KN, for K outputs and N samples.",
    formula=r"\exists\,\delta^\star \in \mathrm{argmin}_\delta\ \hat L(\delta) + \lambda\lVert"
    r"\delta\rVert_*,\quad \tfrac{r(r+1)}{2} \le KN,\ r = \mathrm{rank}\,\delta^\star",
    assumptions=(
        "outputs linear in the update (kernel regime)",
        "convex loss with a minimum; decay of the factors is a nuclear norm of the update",
    ),
    source="arXiv 2402.11867, theorem 3.1",
)
SAMPLE = Sample(
    "Gaussian and constructed features, squared loss",
    quick=2,
    why="The statement is of linear algebra; its extreme cases are small.",
)
#: Singular values below this share of the largest count as zero.
RANK_TOLERANCE = 1e-5


def reduce_rank(landscape: Landscape, Q: Array) -> Array:
    """A point of no higher value whose Gram matrix no symmetric change leaves unseen.

    While r(r+1)/2 > q, some symmetric X ≠ 0 has ⟨Gᵢ, uXvᵀ⟩ = 0 for all i. At a minimum SQ = 0, so
    Q(I + tX)Qᵀ has the same outputs and the same penalty, and at the end of the interval of
    positive t its rank has fallen by one (Barvinok 1995, Pataki 1998).

    Args:
        landscape: F.
        Q: a global minimum, shape (m + n, r).

    Returns:
        Q of rank r with no such X left, so r(r+1)/2 ≤ q.
    """
    while True:
        left, values, _ = np.linalg.svd(Q, full_matrices=False)
        present = values > RANK_TOLERANCE * max(values[0], RANK_TOLERANCE)
        Q = left[:, present] * values[present]
        rank = Q.shape[1]
        u, v = landscape.split(Q)
        seen = np.einsum("qmn,ma,nb->qab", landscape.features, u, v)
        seen = (seen + seen.transpose(0, 2, 1)) / 2
        upper = np.triu_indices(rank)
        weights = np.where(upper[0] == upper[1], 1.0, np.sqrt(2.0))
        rows = seen[:, *upper] * weights
        if rank == 0 or rank * (rank + 1) // 2 <= len(rows):
            return Q
        direction = np.linalg.svd(rows)[2][-1] / weights
        X = np.zeros((rank, rank))
        X[upper] = direction
        X = X + X.T - np.diag(np.diag(X))
        eigenvalues, vectors = np.linalg.eigh(X)
        largest = eigenvalues[np.argmax(np.abs(eigenvalues))]
        Q = (Q @ vectors) * np.sqrt(np.clip(1 - eigenvalues / largest, 0, None))


def tight() -> Landscape:
    """KN = 3 and a unique solution of rank 2: δ₁₁ = δ₂₂ = 1 and δ₁₂ + δ₂₁ = 0.

    The nuclear norm is at least the trace, 2, and equals it for symmetric positive δ alone: δ = I.
    A large weight on the data stands for λ → 0.
    """
    G = np.array([[[1.0, 0], [0, 0]], [[0, 0], [0, 1.0]], [[0, 0.5], [0.5, 0]]])
    return Landscape(100 * G, squared(100 * np.array([1.0, 1.0, 0.0])), decay=1.0)


def row_of(name: str, landscape: Landscape, seed: int, count: int | None = None) -> dict[str, Any]:
    """Rank of a certified global minimum, after reduction.

    Args:
        name: of the features.
        landscape: F, with λ > 0.
        seed: of the start.
        count: K·N as told; the number of features if None.
    """
    q, m, n = landscape.sizes
    point = _minimum(landscape, np.random.default_rng(seed))
    reduced = examine(landscape, reduce_rank(landscape, point.Q))
    rank = reduced.Q.shape[1]
    bound = q if count is None else count
    return {
        "features": name,
        "seed": seed,
        "KN": bound,
        "largest": min(m, n),
        "rank": rank,
        "allowed": max(r for r in range(min(m, n) + 1) if r * (r + 1) // 2 <= bound),
        "certified": point.is_global and reduced.is_global,
        "value_change": abs(reduced.value - point.value) / (1 + abs(point.value)),
        "holds": rank * (rank + 1) // 2 <= bound,
    }


def _minimum(landscape: Landscape, rng: np.random.Generator) -> Point:
    """The first certified minimum of three starts: a descent may end before it has converged."""
    _, m, n = landscape.sizes
    for _ in range(3):
        point = descend(landscape, rng.normal(size=(m + n, min(m, n))))
        if point.is_global:
            break
    return point


def measure(effort: Effort) -> Measured:
    """Random features at several K·N, teachers of full rank, and the tight case."""
    rows = []
    for seed in SAMPLE.seeds(effort):
        rows.append(row_of("three that fix I₂", tight(), seed))
        for count in (1, 3, 6, 10, 15) if effort.full else (1, 3, 6):
            rng = np.random.default_rng(1000 * count + seed)
            G = gaussian_features(count, 6, 5, rng)
            targets = np.einsum("qmn,mn->q", G, rng.normal(size=(6, 5)))
            rows.append(row_of("Gaussian", Landscape(G, squared(targets), decay=0.1), seed))
    return collect(rows)


def collect(rows: Iterable[dict[str, Any]]) -> Measured:
    """In how many cases the bound holds, and how often it is attained."""
    rows = list(rows)
    return Measured(
        {
            "trials": len(rows),
            "certified": sum(row["certified"] for row in rows),
            "violations": sum(row["certified"] and not row["holds"] for row in rows),
            "attained": sum(row["rank"] == row["allowed"] for row in rows),
            "tight": sum(
                row["rank"] * (row["rank"] + 1) // 2 == row["KN"] for row in rows if row["holds"]
            ),
            "largest_change": max(row["value_change"] for row in rows),
        },
        rows,
        len({row["seed"] for row in rows}),
    )


def judge(measured: Measured) -> Finding:
    """FALSE at one certified violation, OK if all are certified and hold."""
    v = measured.values
    if v["violations"]:
        worst = next(row for row in measured.rows if row["certified"] and not row["holds"])
        return Finding(
            Verdict.FALSE,
            f"A certified minimum has rank {worst['rank']} and no smaller one, with KN = "
            f"{worst['KN']}, in {v['violations']} of {v['trials']} trials.",
        )
    if v["certified"] < v["trials"]:
        raise InputError(
            f"only {v['certified']} of {v['trials']} minima could be certified: no verdict."
        )
    return Finding(
        Verdict.OK,
        f"In all {v['trials']} trials a certified global minimum has a rank within the bound; "
        f"{v['tight']} of them have r(r+1)/2 = KN exactly, so the bound cannot be lowered. "
        f"Reducing the rank changed the loss by at most {v['largest_change']:.1g}.",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "trials": "landscapes",
        "certified": "of them with a certified global minimum",
        "violations": "of them with a rank above the bound",
        "attained": "of them with the largest rank allowed",
        "tight": "of them with r(r+1)/2 = KN",
        "largest_change": "largest relative change of the loss by the reduction",
    },
    columns={
        **{"features": "features", "seed": "seed", "KN": "KN", "largest": "min(m, n)"},
        **{"rank": "rank", "allowed": "allowed", "certified": "certified"},
        "value_change": "change of the loss",
    },
    sample=SAMPLE,
)
