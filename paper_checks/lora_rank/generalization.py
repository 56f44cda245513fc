"""The generalization statement of Jang et al. for weight-decayed LoRA in the kernel regime."""

from collections.abc import Iterable
from math import log, sqrt
from typing import Any

import numpy as np

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from paper_checks.lora_rank._landscape import Array, Landscape, descend, logistic

CLAIM = Claim(
    id="generalization",
    title="Generalization of the decayed solution",
    words="With the decay λ = 2(2+ε)√K·G·R(2 + √log(1/η))/√N the solution's risk exceeds that of "
    "the best update δ* by less than ‖δ*‖_* times (2+ε) times this λ, with probability 1 − η.",
    formula=r"L(\hat\delta) - L(\delta^\star) < 2(2+\varepsilon)^2\,\lVert\delta^\star\rVert_*\,"
    r"\frac{\sqrt K\,GR}{\sqrt N}\left(2 + \sqrt{\log\tfrac1\eta}\right)",
    confidence="M",
    assumptions=(
        "loss convex and G-Lipschitz in the outputs; ‖G(X)‖_F ≤ R",
        "outputs linear in the update (kernel regime)",
        "constants reconstructed: the statement reached us without its typesetting",
    ),
    source="arXiv 2402.11867, theorem 5.1",
)
SAMPLE = Sample(
    "two classes, features of norm 1, a teacher of rank 2",
    quick=3,
    why="The risk of the best update must be known.",
)
ETA, EPSILON, ROWS, COLUMNS = 0.05, 1e-3, 6, 5
_TEST = 20_000


def told_decay(samples: int) -> float:
    """λ of the statement, for one output (K = 1), G = R = 1."""
    return 2 * (2 + EPSILON) * (2 + sqrt(log(1 / ETA))) / sqrt(samples)


def draw_task(samples: int, teacher: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Features of Frobenius norm 1 and labels ±1 from the logistic model of the teacher."""
    G = rng.normal(size=(samples, ROWS, COLUMNS))
    G /= np.linalg.norm(G, axis=(1, 2), keepdims=True)
    chance = 1 / (1 + np.exp(-np.einsum("qmn,mn->q", G, teacher)))
    return G, np.where(rng.random(samples) < chance, 1.0, -1.0)


def row_of(samples: int, seed: int, strength: float) -> dict[str, Any]:
    """Excess risk of the certified solution beside its bound.

    Args:
        samples: N.
        seed: of teacher, samples and start.
        strength: size of the teacher's two singular values.
    """
    rng = np.random.default_rng(1000 * seed + samples)
    left = np.linalg.qr(rng.normal(size=(ROWS, 2)))[0]
    right = np.linalg.qr(rng.normal(size=(COLUMNS, 2)))[0]
    teacher = strength * left @ right.T
    G, signs = draw_task(samples, teacher, rng)
    decay = told_decay(samples)
    landscape = Landscape(G, logistic_mean(signs), decay=decay)
    rank = min(ROWS, COLUMNS)
    point = descend(landscape, rng.normal(size=(ROWS + COLUMNS, rank)))
    u, v = landscape.split(point.Q)
    test, test_signs = draw_task(_TEST, teacher, rng)

    def risk(update: Array) -> float:
        return float(np.logaddexp(0, -test_signs * np.einsum("qmn,mn->q", test, update)).mean())

    best = risk(teacher)
    bound = (2 + EPSILON) * decay * 2 * strength
    update = u @ v.T
    return {
        "N": samples,
        "seed": seed,
        "decay": decay,
        "certified": point.is_global,
        "norm": float(np.linalg.norm(update)),
        "zero": float(np.linalg.norm(update)) < 1e-4,
        "excess": risk(update) - best,
        "untrained": risk(np.zeros_like(teacher)) - best,
        "bound": bound,
    }


def logistic_mean(signs: Array) -> Any:
    """The mean logistic loss; see `logistic`."""
    total, count = logistic(signs), len(signs)

    def loss(outputs: Array) -> tuple[float, Array, Array]:
        value, gradient, hessian = total(outputs)
        return value / count, gradient / count, hessian / count

    return loss


def smallest_sample_that_moves() -> int:
    """N from which λ of the statement is below G·R, so that δ̂ ≠ 0 is possible.

    ‖∇L̂(0)‖₂ ≤ G·R: with λ at least that, the zero update is the solution, whatever the data.
    """
    return int((2 * (2 + EPSILON) * (2 + sqrt(log(1 / ETA)))) ** 2) + 1


def measure(effort: Effort) -> Measured:
    """Excess risk and bound at several N."""
    sizes = (32, 128, 512) if effort.full else (32, 128)
    rows = [row_of(N, seed, 4.0) for N in sizes for seed in SAMPLE.seeds(effort)]
    return collect(rows)


def collect(rows: Iterable[dict[str, Any]]) -> Measured:
    """Violations, zero solutions, and bounds that exceed the risk of not training."""
    rows = list(rows)
    return Measured(
        {
            "trials": len(rows),
            "certified": sum(row["certified"] for row in rows),
            "violations": sum(row["excess"] > row["bound"] for row in rows),
            "zero": sum(row["zero"] for row in rows),
            "says_something": sum(row["bound"] < row["untrained"] for row in rows),
            "least_ratio": min(row["bound"] / max(row["untrained"], 1e-12) for row in rows),
            "moves_from": smallest_sample_that_moves(),
        },
        rows,
        len({row["seed"] for row in rows}),
    )


def judge(measured: Measured) -> Finding:
    """FALSE beyond η; VACUOUS where not training does better than the bound; else OK."""
    v = measured.values
    if v["violations"] > ETA * v["trials"]:
        return Finding(
            Verdict.FALSE,
            f"The excess risk exceeds the bound in {v['violations']} of {v['trials']} trials.",
        )
    if v["says_something"] == v["trials"]:
        return Finding(
            Verdict.OK,
            f"It holds in {v['trials'] - v['violations']} of {v['trials']} trials and is below "
            "the excess risk of not training in all.",
        )
    text = (
        f"It holds in {v['trials'] - v['violations']} of {v['trials']} trials, and is below the "
        f"excess risk of not training in {v['says_something']}: at least {v['least_ratio']:.2g} "
        f"times as large. With this λ the solution is δ = 0 in {v['zero']} of {v['trials']} "
        f"trials, and must be for every N < {v['moves_from']} a class (η = {ETA})."
    )
    return Finding(
        Verdict.VACUOUS if not v["says_something"] else Verdict.REGIME,
        text,
        f"For N < {v['moves_from']} a class the statement is about the untrained model."
        if not v["says_something"]
        else "",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "trials": "trained solutions",
        "certified": "of them certified global minima",
        "violations": "of them above the bound",
        "zero": "of them δ = 0",
        "says_something": "of them with a bound below the excess risk of not training",
        "least_ratio": "least bound over excess risk of not training",
        "moves_from": "least N at which δ ≠ 0 is possible",
    },
    columns={
        **{"N": "N", "seed": "seed", "decay": "λ", "norm": "‖δ‖_F", "excess": "excess risk"},
        **{"untrained": "excess risk of δ = 0", "bound": "bound"},
    },
    sample=SAMPLE,
)
