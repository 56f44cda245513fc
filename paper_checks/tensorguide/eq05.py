"""Eq. 5: from a distance of functions to a difference of risks."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor

from ntklab.adapters import build_adapter
from ntklab.bounds import cross_entropy_lipschitz, risk_gap_bound
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.tasks.synthetic import synthetic_problem
from ntklab.training import Data, TrainConfig, train

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq05",
    title="Risk follows distance",
    words="The adapter's risk exceeds the target's by at most the loss's Lipschitz constant times "
    "the mean distance of their outputs.",
    formula=r"R(f_{TG}) - R(h^*) \le L_{ce}\, \mathbb{E}\left\| h^* - f_{TG} \right\|_2",
    confidence="M",
    assumptions=(
        "h* is given in logits; the constant is not stated in the paper: √2 in the logits, 1 for "
        "the logistic loss of a margin",
    ),
)

SAMPLE = Sample(
    "heads on a teacher's labels, random logits",
    why="The target h* must be known in logits, which it is for a made task only.",
)

Loss = Callable[[Tensor, Tensor], Tensor]  # logits (n, C), labels (n,) → (n,)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """−log softmax, sample by sample."""
    return torch.nn.functional.cross_entropy(logits, labels, reduction="none")


def measure(effort: Effort) -> Measured:
    """Slopes of the loss between random and between extreme logits; then heads of all kinds."""
    draws = 1_000_000 if effort.full else 100_000
    rows = [slopes(classes, draws, cross_entropy) for classes in (2, 3, 10, 100)]
    by_seed = [head_gaps(seed) for seed in SAMPLE.seeds(effort)]
    heads = [gap for gaps in by_seed for gap in gaps]
    return Measured(
        {
            "lipschitz": cross_entropy_lipschitz(),
            "draws": sum(row["draws"] for row in rows),
            "largest_slope": max(max(row["random"], row["extreme"]) for row in rows),
            "above_one": max(row["above_one"] for row in rows),
            "heads": len(heads),
            "heads_hold": all(gap <= bound * (1 + 1e-12) for gap, bound in heads),
            "least_slack": min(bound / gap for gap, bound in heads),
            "largest_slack": max(bound / gap for gap, bound in heads),
        },
        rows,
        len(by_seed),
    )


def slopes(classes: int, draws: int, loss: Loss) -> dict[str, Any]:
    """|ℓ(f) − ℓ(g)| / ‖f − g‖: largest over random pairs of many scales, and over extreme ones.

    Args:
        classes: C.
        draws: random pairs.
        loss: sample by sample.
    """
    generator = Generator().manual_seed(classes)
    n = min(draws, 10_000_000 // classes)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    scale, step = 10 ** normal(n, 1), 10 ** normal(n, 1)
    f = scale * normal(n, classes)
    g = f + step * normal(n, classes)
    labels = torch.randint(classes, (n,), generator=generator)
    slope = _slope(loss, f, g, labels)
    # Certainty of a wrong class j: moving along e_j − e_y changes the loss by √2 a unit of length.
    f = torch.zeros(2, classes, dtype=torch.float64)
    f[0, 1], f[1, 1] = 40.0, 41.0
    f[1, 0] = -1.0
    extreme = _slope(loss, f[:1], f[1:], torch.zeros(1, dtype=torch.long))
    return {
        "classes": classes,
        "draws": n,
        "random": float(slope.max()),
        "extreme": float(extreme.max()),
        "above_one": float((slope > 1).double().mean()),
    }


def head_gaps(seed: int) -> list[tuple[float, float]]:
    """(R(f) − R(h), bound) of an untrained and a trained head; labels are drawn from h's softmax.

    Risks are exact in the labels: Σ_c p_c(x) ℓ_c(f(x)), so the gap is the mean KL divergence.
    """
    problem = synthetic_problem(features=8, samples=256, classes=3, teacher="relu", data_seed=seed)
    x, h = problem.task.test.features, 3 * problem.test_scores
    head = build_adapter(
        "tensorguide", 8, 3, width=32, generator=Generator().manual_seed(seed),
        dtype=torch.float64,
    )  # fmt: skip
    labels = (
        (3 * problem.train_scores)
        .softmax(dim=1)
        .multinomial(1, generator=Generator().manual_seed(seed))
    )
    gaps = [_gap(head(x).detach(), h)]
    config = TrainConfig(lr=0.03, steps=150, batch=64, seed=seed, logs_per_decade=1)
    train(head, Data(problem.task.train.features, labels.squeeze(1)), config)
    return [*gaps, _gap(head(x).detach(), h)]


def _gap(f: Tensor, h: Tensor) -> tuple[float, float]:
    gap = (h.softmax(1) * (h.log_softmax(1) - f.log_softmax(1))).sum(1).mean()
    bound = risk_gap_bound(float((f - h).norm(dim=1).mean()), measured=float(gap))
    assert bound.value is not None
    return float(gap), bound.value


def _slope(loss: Loss, f: Tensor, g: Tensor, labels: Tensor) -> Tensor:
    return (loss(f, labels) - loss(g, labels)).abs() / (f - g).norm(dim=1)


def judge(measured: Measured) -> Finding:
    """OK if no pair of logits and no head breaks the inequality with L = √2."""
    values = measured.values
    constant, slope = values["lipschitz"], values["largest_slope"]
    if slope > constant * (1 + 1e-9):
        return Finding(
            Verdict.FALSE,
            f"Two outputs were found whose losses differ by {slope:.3f} times their distance, "
            f"above the constant {constant:.3f}.",
        )
    if not values["heads_hold"]:
        return Finding(
            Verdict.FALSE,
            f"A head's risk exceeds the target's by {1 / values['least_slack']:.2f} times the "
            "right-hand side.",
        )
    sharp = (
        f"{constant:.3f} cannot be lowered: it is attained to {1 - slope / constant:.1e}"
        if slope > 0.999 * constant
        else f"the largest slope found is {slope:.3f}"
    )
    return Finding(
        Verdict.OK,
        f"With L = √2 no slope of {values['draws']} random pairs and no extreme pair exceeds it; "
        f"{sharp}, and the constant 1 would fail for up to {values['above_one']:.1%} of the "
        f"random pairs. On {values['heads']} heads the right-hand side is "
        f"{values['least_slack']:.1f} to {values['largest_slack']:.1f} times the risk gap.",
    )


def draw(measured: Measured) -> "Figure":
    """Largest slopes by number of classes, beside both constants."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing

    with drawing(height_to_width=0.45):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        classes = measured.column("classes")
        for name, marker, label in (
            ("extreme", "^", "extreme pair"),
            ("random", "o", "largest of the random pairs"),
        ):
            axes.plot(classes, measured.column(name), marker=marker, linestyle="", label=label)
        for value, label in ((math.sqrt(2), r"$\sqrt{2}$"), (1.0, "1")):
            axes.axhline(value, color="#404040", linewidth=0.8, linestyle="--")
            axes.annotate(label, (1.0, value), xycoords=("axes fraction", "data"), va="bottom")
        axes.set_xscale("log")
        axes.set_ylim(0.0, 1.6)
        axes.set_xlabel("classes $C$")
        axes.set_ylabel(r"$|\ell(f)-\ell(g)|\,/\,\|f-g\|$")
        axes.legend(loc="lower left")
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "lipschitz": "L, the constant in the logits",
        "draws": "random pairs of logits",
        "largest_slope": "largest |ℓ(f) − ℓ(g)| / ‖f − g‖",
        "above_one": "largest share of random pairs above 1",
        "heads": "heads",
        "least_slack": "least right-hand side over risk gap",
        "largest_slack": "largest right-hand side over risk gap",
    },
    columns={
        "classes": "C",
        "draws": "pairs",
        "random": "largest slope, random pairs",
        "extreme": "slope, extreme pair",
        "above_one": "share above 1",
    },
    draw=draw,
    caption="Slopes of the cross-entropy between two vectors of logits: extreme pairs reach √2, "
    "which is therefore the constant of eq. 5.",
    sample=SAMPLE,
)
