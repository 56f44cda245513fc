"""Eq. 28: whether the derivative of a tensor train has a positive least eigenvalue."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from ntklab import TTShape
from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.tensor_train import (
    canonical_gauge,
    exact_nullity,
    predicted_nullity,
    tangent_bounds,
    tangent_map,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq28",
    title="The tensor train's derivative is well conditioned",
    words="Being multilinear and injective, with orthogonalised cores of full rank, the map from "
    "cores to weights has a derivative whose Gram matrix is positive definite.",
    formula=r"\lambda_{\min}(J_{TT}J_{TT}^\top) > 0",
    assumptions=(
        "as many independent directions as weights: rank D, so P at least D",
        "orthogonal cores, which the public code does not make",
    ),
)

SAMPLE = Sample(
    "plain trains with Gaussian cores; the paper's own by exact counting",
    why="The derivative of the weights by the cores sees no data.",
)

_IN, _OUT = (1, 2, 2, 1), (16, 8, 257, 16)
#: What the paper trains: the three widths, one larger rank at each bond, TT-LoRA's first factor.
PAPER = {
    "TensorGuide, M = 1024": TTShape(_IN, _OUT, (1, 2, 2, 1, 1)),
    "TensorGuide, M = 2048": TTShape(_IN, (16, 8, 257, 32), (1, 2, 2, 1, 1)),
    "TensorGuide, M = 4096": TTShape(_IN, (16, 16, 257, 32), (1, 2, 2, 1, 1)),
    "TensorGuide, ranks 2, 2, 2": TTShape(_IN, _OUT, (1, 2, 2, 2, 1)),
    "TensorGuide, ranks 1, 1, 1": TTShape(_IN, _OUT, (1, 1, 1, 1, 1)),
    "TT-LoRA, first factor": TTShape((8, 8, 8), (8, 8, 80), (1, 2, 2, 1)),
}
#: Plain trains small enough for a dense derivative, where the gauge can be changed.
PLAIN = {
    "plain 8, 8, 8": TTShape.plain((8, 8, 8), (1, 3, 3, 1)),
    "plain 6, 5, 4, 6": TTShape.plain((6, 5, 4, 6), (1, 2, 3, 2, 1)),
    "plain 4, 4, 4, 4": TTShape.plain((4, 4, 4, 4), (1, 2, 2, 2, 1)),
}


def counted(name: str, shape: TTShape) -> dict[str, Any]:
    """Exact dimensions of one shape, at generic cores and latent."""
    null, predicted = exact_nullity(shape), predicted_nullity(shape)
    return {
        **{"train": name, "ranks": ",".join(map(str, shape.ranks)), "D": shape.out_size},
        **{"P": shape.parameters, "nullity": null, "rank": shape.parameters - null},
        "predicted": predicted.value if predicted.exact else None,
        "bonds": sum(r * r for r in shape.ranks[1:-1]),
        **dict.fromkeys(("seeds", "before", "after", "attained", "below_upper", "lower")),
    }


def conditioned(
    name: str, shape: TTShape, seeds: Sequence[int], size: float = 1.0
) -> dict[str, Any]:
    """The same, and condition on the range for Gaussian cores with ‖w‖ = size, then canonical."""
    trials = [_gauged(shape, seed, size) for seed in seeds]
    return (
        counted(name, shape)
        | {key: median(one[key] for one in trials) for key in ("before", "after", "lower")}
        | {
            "seeds": len(trials),
            "attained": max(abs(one["ratio"] - 1) for one in trials),
            "below_upper": max(one["of_upper"] for one in trials),
        }
    )


def _gauged(shape: TTShape, seed: int, size: float) -> dict[str, float]:
    generator = torch.Generator().manual_seed(seed)
    cores = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shape.core_shapes]
    one = torch.ones(1, dtype=torch.float64)
    factor = (size / float(canonical_gauge(cores)[-1].norm())) ** (1 / len(cores))
    cores = [factor * core for core in cores]
    fixed = canonical_gauge(cores)
    bounds = tangent_bounds(cores)
    before, after = (_range(tangent_map(c, one)) for c in (cores, fixed))
    return {
        "before": before[0] / before[1],
        "after": after[0] / after[1],
        "lower": bounds.smallest,
        "ratio": after[1] / bounds.smallest,
        "of_upper": after[0] / bounds.largest,
    }


def _range(tangent: torch.Tensor) -> tuple[float, float]:
    """The largest singular value and the smallest that is not rounding."""
    values = torch.linalg.svdvals(tangent)
    cut = max(tangent.shape) * torch.finfo(torch.float64).eps * values[0]
    return float(values[0]), float(values[values > cut][-1])


def measure(effort: Effort) -> Measured:
    """Exact nullities of the paper's trains; condition before and after orthogonalisation."""
    rows = [counted(name, shape) for name, shape in PAPER.items()]
    for name, shape in PLAIN.items():
        sizes = {"‖w‖ = √D": shape.out_size**0.5, "‖w‖ = 1": 1.0}
        rows += [
            conditioned(f"{name}, {t}", shape, SAMPLE.seeds(effort), s) for t, s in sizes.items()
        ]
    return collect(rows, own=len(PAPER))


def collect(rows: Iterable[Mapping[str, Any]], own: int) -> Measured:
    """Of the paper's own trains, which are surjective and which are injective."""
    rows = list(rows)
    paper, gauged = rows[:own], [row for row in rows if row["before"] is not None]
    return Measured(
        {
            "trains": len(paper),
            "surjective": sum(row["rank"] == row["D"] for row in paper),
            "injective": sum(row["nullity"] == 0 for row in paper),
            "first_rank": paper[0]["rank"],
            "first_weights": paper[0]["D"],
            "first_nullity": paper[0]["nullity"],
            "predictions_off": sum(row["predicted"] not in (None, row["nullity"]) for row in rows),
            "worse_after": sum(row["after"] > row["before"] for row in gauged),
            "gauged": len(gauged),
            "before_first": gauged[0]["before"] if gauged else None,
            "after_first": gauged[0]["after"] if gauged else None,
            "bound_off": max((row["attained"] for row in gauged), default=None),
            "largest_of_upper": max((row["below_upper"] for row in gauged), default=None),
        },
        rows,
        min((row["seeds"] for row in gauged), default=None),
    )


def judge(measured: Measured) -> Finding:
    """FALSE unless every one of the paper's trains reaches rank D."""
    v = measured.values
    if v["surjective"] == v["trains"]:
        if v["injective"] == v["trains"]:
            return Finding(Verdict.OK, f"All {v['trains']} trains have rank D and no nullity.")
        return Finding(
            Verdict.MEND,
            f"All {v['trains']} trains reach rank D, so the Gram matrix is positive definite, but "
            f"not because the map is injective: the first has {v['first_nullity']} null "
            "directions.",
            "It is positive definite because the map is onto.",
        )
    because = (
        f"In the paper's own setting the derivative has rank {v['first_rank']} in "
        f"{v['first_weights']} weights, so the least eigenvalue is 0 exactly; nor is the map "
        f"injective: its derivative has {v['first_nullity']} null directions, counted in exact "
        f"arithmetic. {v['surjective']} of the {v['trains']} trains reach rank D."
    )
    if v["gauged"]:
        because += (
            f" On its range, orthogonalising the cores moved the condition number of the train "
            f"'{measured.rows[v['trains']]['train']}' from {v['before_first']:.3g} to "
            f"{v['after_first']:.3g}, and made it worse in {v['worse_after']} of {v['gauged']} "
            "cases."
        )
    if v["bound_off"] is not None and v["bound_off"] < 1e-6 and v["largest_of_upper"] <= 1 + 1e-9:
        return Finding(
            Verdict.FALSE,
            because,
            "For a plain train in the canonical gauge, the least nonzero singular value of the "
            "derivative is the smaller of 1 and the least singular value of an unfolding of w, a "
            f"property of w and not of orthogonal cores (measured to {v['bound_off']:.0e}).",
            r"\sigma^+_{\min}(J_{TT}) \ge \min(1, \min_k s_{r_k}(w^{\langle k\rangle})),\quad "
            r"\sigma_{\max}(J_{TT})^2 \le 1 + \sum_k s_1(w^{\langle k\rangle})^2",
        )
    return Finding(Verdict.FALSE, because)


def draw(measured: Measured) -> "Figure":
    """Rank of the derivative, and what is missing to D, train by train."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing

    by_train = {row["train"].split(", ‖")[0]: row for row in measured.rows}
    names, rows = list(by_train)[::-1], list(by_train.values())[::-1]
    with drawing(height_to_width=0.55):
        figure = Figure()
        axes = figure.subplots()
        places = range(len(rows))
        for name, label, colour, marker in (
            ("D", "weights D", "#404040", "|"),
            ("P", "parameters P", "#0072B2", "o"),
            ("rank", "rank of the derivative", "#D55E00", "x"),
            ("nullity", "null directions", "#CC79A7", "s"),
        ):
            values = [row[name] or float("nan") for row in rows]
            axes.plot(values, places, marker, color=colour, label=label, markersize=5)
        axes.set_yticks(places, names)
        axes.set_xscale("log")
        axes.set_xlabel("dimensions")
        figure.legend(loc="outside lower center", ncols=4, fontsize="x-small")
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "trains": "trains of the paper",
        "surjective": "of them with rank D",
        "injective": "of them without null directions",
        "first_rank": "rank, TensorGuide at M = 1024",
        "first_weights": "its weights D",
        "first_nullity": "its null directions, exact",
        "predictions_off": "trains where the closed formula of the nullity fails",
        "gauged": "plain trains orthogonalised, at two sizes of w",
        "worse_after": "of them worse conditioned on their range afterwards",
        "before_first": "condition on the range, first of them, medians: cores as drawn",
        "after_first": "the same, orthogonalised",
        "bound_off": "repaired lower bound: largest relative distance from the measured value",
        "largest_of_upper": "repaired upper bound: measured over bound, largest",
    },
    columns={
        **{"train": "train", "ranks": "TT-ranks", "D": "D", "P": "P", "rank": "rank"},
        **{"nullity": "null directions", "predicted": "by formula", "bonds": "Σ r²"},
        **{"before": "condition, drawn", "after": "condition, orthogonalised"},
        "lower": "repaired lower bound",
        "seeds": "seeds",
    },
    draw=draw,
    caption="Weights, parameters, rank and null directions of each train: eq 28 would need the "
    "rank to reach D and no null directions.",
    sample=SAMPLE,
)
