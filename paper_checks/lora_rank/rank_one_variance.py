"""Rank one optimal in variance for two classes and not for more: complexity and test error."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from paper_checks.lora_rank._landscape import Array, Landscape, cross_entropy

CLAIM = Claim(
    id="rank_one_variance",
    title="Rank one for two classes, not for more",
    words="A bound by Rademacher complexity predicts that rank one is optimal in variance exactly "
    "where the bias is saturated, which is so for two classes and not for more.",
    formula=r"r^\ast = 1 \iff K = 2",
    confidence="M",
    assumptions=(
        "outputs linear in the update (kernel regime)",
        "what saturates the bias: not in the abstract",
    ),
    source="arXiv 2605.03724, abstract",
)
SAMPLE = Sample(
    "teachers of rank one and of rank three, with two and with four classes",
    quick=3,
    why="The rank that the labels need must be known.",
)
RANKS = (1, 2, 3, 4)
ROWS, COLUMNS, SAMPLES, TESTS = 6, 5, 160, 1000
#: (classes, rank of the teacher): the claim looks at the first alone.
WORLDS = ((2, 1), (2, 3), (4, 1), (4, 3))
_DECAYS = (0.03, 0.3, 3.0)
_DRAWS = 100


def complexity(features: Array, rank: int, rng: np.random.Generator) -> float:
    """E_σ sup ⟨Σσᵢ Gᵢ, δ⟩/q over rank δ ≤ r and ‖δ‖_F ≤ 1, by Monte Carlo.

    The supremum is the root of the sum of the r largest squared singular values of Σσᵢ Gᵢ.
    """
    total = 0.0
    for signs in rng.choice([-1.0, 1.0], size=(_DRAWS, len(features))):
        singular = np.linalg.svd(np.tensordot(signs, features, axes=1), compute_uv=False)
        total += float(np.sqrt((singular[:rank] ** 2).sum()))
    return total / _DRAWS / len(features)


def draw_world(
    classes: int, teacher_rank: int, samples: int, rng: np.random.Generator
) -> tuple[Array, Array, Any, Any]:
    """Features and labels of training and test samples, from one teacher.

    Outputs of a sample: one Gaussian matrix G a class; for two classes the second is −G of the
    first, so that the margin is what counts. Labels: the largest output, 10 % of them redrawn.
    """
    left = np.linalg.qr(rng.normal(size=(ROWS, teacher_rank)))[0]
    right = np.linalg.qr(rng.normal(size=(COLUMNS, teacher_rank)))[0]
    teacher = left @ right.T

    def draw(count: int) -> tuple[Array, Any]:
        G = rng.normal(size=(count, classes, ROWS, COLUMNS))
        if classes == 2:
            G[:, 1] = -G[:, 0]
        labels = np.einsum("nkab,ab->nk", G, teacher).argmax(axis=1)
        redrawn = rng.random(count) < 0.1
        labels[redrawn] = rng.integers(classes, size=int(redrawn.sum()))
        return G.reshape(-1, ROWS, COLUMNS), labels

    features, labels = draw(samples)
    test_features, test_labels = draw(TESTS)
    return features, test_features, labels, test_labels


def test_error(
    landscape: Landscape, rank: int, test: tuple[Array, Any, int], rng: np.random.Generator
) -> float:
    """Share of test labels missed by the better of two descents (L-BFGS) at this rank."""
    from scipy.optimize import minimize

    shape = (ROWS + COLUMNS, rank)
    runs = [
        minimize(
            lambda x: (
                landscape.value(x.reshape(shape)),
                landscape.gradient(x.reshape(shape)).ravel(),
            ),
            0.5 * rng.normal(size=shape).ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 300},
        )
        for _ in range(2)
    ]
    u, v = landscape.split(min(runs, key=lambda run: run.fun).x.reshape(shape))
    features, labels, classes = test
    outputs = np.einsum("qab,ab->q", features, u @ v.T).reshape(-1, classes)
    return float((outputs.argmax(axis=1) != labels).mean())


def rows_of(
    classes: int, teacher_rank: int, seed: int, decays: Sequence[float] = _DECAYS
) -> list[dict[str, Any]]:
    """One world: test error at every rank with its best decay, and the complexity of the class."""
    rng = np.random.default_rng(100 * classes + 10 * teacher_rank + 1000 * seed)
    features, test_features, labels, test_labels = draw_world(
        classes, teacher_rank, SAMPLES // classes, rng
    )
    loss = cross_entropy(labels, classes)
    rows = []
    for rank in RANKS:
        errors = [
            test_error(
                Landscape(features, loss, decay),
                rank,
                (test_features, test_labels, classes),
                rng,
            )
            for decay in decays
        ]
        rows.append(
            {
                "classes": classes,
                "teacher": teacher_rank,
                "seed": seed,
                "rank": rank,
                "error": min(errors),
                "complexity": complexity(features, rank, rng),
            }
        )
    return rows


def measure(effort: Effort) -> Measured:
    """All worlds and seeds."""
    rows = [
        row
        for classes, teacher in WORLDS
        for seed in SAMPLE.seeds(effort)
        for row in rows_of(classes, teacher, seed, _DECAYS if effort.full else _DECAYS[1:2])
    ]
    return collect(rows)


def collect(rows: Iterable[dict[str, Any]]) -> Measured:
    """Mean error and complexity per world and rank, and the best rank of each world."""
    rows = list(rows)
    merged = []
    for classes, teacher in dict.fromkeys((r["classes"], r["teacher"]) for r in rows):
        for rank in dict.fromkeys(row["rank"] for row in rows):
            here = [
                row
                for row in rows
                if (row["classes"], row["teacher"], row["rank"]) == (classes, teacher, rank)
            ]
            merged.append(
                {
                    **{"classes": classes, "teacher": teacher, "rank": rank},
                    "error": float(np.mean([row["error"] for row in here])),
                    "complexity": float(np.mean([row["complexity"] for row in here])),
                    "landscapes": len(here),
                }
            )
    growing = all(
        _rises([row["complexity"] for row in merged if row["classes"] == k and row["teacher"] == t])
        for k, t in {(row["classes"], row["teacher"]) for row in merged}
    )
    values: dict[str, Any] = {"complexity_rises": growing}
    for classes, teacher in WORLDS:
        gains = _gains(rows, classes, teacher)
        values |= {
            f"one_costs_{classes}_{teacher}": float(np.mean(gains)) if gains else None,
            f"one_worse_{classes}_{teacher}": _worse(gains),
        }
    return Measured(values, merged, len({row["seed"] for row in rows}))


def _rises(values: Sequence[float]) -> bool:
    return all(later > earlier for earlier, later in pairwise(values))


def _gains(rows: Sequence[dict[str, Any]], classes: int, teacher: int) -> list[float]:
    """Per seed, error at rank one less the least error at the ranks above."""
    seeds: dict[int, dict[int, float]] = {}
    for row in rows:
        if (row["classes"], row["teacher"]) == (classes, teacher):
            seeds.setdefault(row["seed"], {})[row["rank"]] = row["error"]
    # one rank for all seeds, so that a minimum over noise is no gain
    means = {
        rank: float(np.mean([errors[rank] for errors in seeds.values()]))
        for rank in RANKS
        if rank > 1 and seeds
    }
    if not means:
        return []
    rival = min(means, key=lambda rank: means[rank])
    return [errors[1] - errors[rival] for errors in seeds.values()]


def _worse(gains: Sequence[float]) -> bool:
    """Whether rank one is worse than the best larger rank: two standard errors of the mean."""
    if len(gains) < 2:
        return False
    error = float(np.std(gains, ddof=1)) / len(gains) ** 0.5
    return float(np.mean(gains)) > 2 * error


def judge(measured: Measured) -> Finding:
    """OK if rank one loses exactly with more classes; REGIME if the teacher's rank decides."""
    v = measured.values
    lost = {(k, t): v[f"one_worse_{k}_{t}"] for k, t in WORLDS}
    by_classes = all(lost[k, t] == (k > 2) for k, t in WORLDS)
    by_teacher = all(lost[k, t] == (t > 1) for k, t in WORLDS)
    costs = ", ".join(
        f"{100 * v[f'one_costs_{k}_{t}']:+.1f} points (K = {k}, teacher of rank {t})"
        for k, t in WORLDS
    )
    numbers = f"Error of rank one less that of the best larger rank: {costs}."
    variance = (
        " The complexity of the class rises with r for every K, so its variance part is least at "
        "rank one whatever the classes: a larger class holds the smaller one."
        if v["complexity_rises"]
        else ""
    )
    if by_classes:
        return Finding(Verdict.OK, numbers + variance)
    if by_teacher:
        return Finding(
            Verdict.REGIME,
            numbers + variance,
            "Rank one is optimal where the labels need a rank-one update in the kernel's "
            "features, with two classes or four; where they need rank three it is not, with two "
            "classes or four.",
        )
    return Finding(
        Verdict.FALSE,
        numbers + variance + " The number of classes does not decide, nor does the teacher's rank.",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "complexity_rises": "complexity rises with r in every world",
        **{
            f"one_costs_{k}_{t}": f"error of rank one less the best larger, K = {k}, teacher {t}"
            for k, t in WORLDS
        },
        **{
            f"one_worse_{k}_{t}": f"rank one clearly worse, K = {k}, teacher {t}" for k, t in WORLDS
        },
    },
    columns={
        **{"classes": "K", "teacher": "rank of the teacher", "rank": "r", "error": "test error"},
        **{"complexity": "Rademacher complexity", "landscapes": "seeds"},
    },
    sample=SAMPLE,
)
