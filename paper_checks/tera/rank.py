"""TeRA (arXiv 2509.03234): the rank of the update against trained parameters."""

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator

from ntklab.adapters import LoRA, TeRA
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="rank",
    title="TeRA: a high rank with few parameters",
    words="With large random factors frozen and only scaling vectors trained, the rank of the "
    "update is decoupled from the number of trained parameters.",
    formula=r"\Delta W = \mathcal{C} \times_1 U_1 \mathrm{diag}(v_1) \cdots "
    r"\times_K U_K \mathrm{diag}(v_K),\quad P = \sum_k R_k",
    confidence="M",
    assumptions=(
        "the network is reconstructed from the abstract",
        "the frozen core is random and large enough: the rank comes from it",
    ),
    source="arXiv 2509.03234, abstract",
)

SAMPLE = Sample("random updates of square layers", quick=2, why="A rank knows no task.")

# d = C, modes of one side; sizes R_k of the core are shares of the modes.
_SIDES = ((64, (8, 8)), (216, (6, 6, 6)), (256, (16, 16)))
_SHARES = (0.25, 0.5, 1.0)


def measure(effort: Effort) -> Measured:
    """Ranks of updates and of their tangents, beside the LoRA of no more parameters."""
    sides = (*_SIDES, (512, (8, 8, 8))) if effort.full else _SIDES
    seeds = SAMPLE.seeds(effort)
    rows = []
    for size, modes in sides:
        for share in _SHARES:
            ranks = tuple(max(1, round(share * mode)) for mode in modes) * 2
            seeded = [row_of(size, modes, ranks, seed) for seed in seeds]
            least = min(seeded, key=lambda row: row["rank"])
            rows.append(least | {"seeds": len(seeded)})
    return summary(rows)


def built(size: int, modes: Sequence[int], ranks: Sequence[int], seed: int) -> TeRA:
    """A TeRA update of a square layer with trained scalings drawn at random."""
    generator = Generator().manual_seed(seed)
    adapter = TeRA(
        size, size, dims=(*modes, *modes), ranks=ranks, generator=generator, dtype=torch.float64
    )
    with torch.no_grad():
        for scaling in adapter.scalings:
            scaling.copy_(torch.randn(len(scaling), generator=generator, dtype=torch.float64))
    return adapter


@torch.no_grad()
def row_of(
    size: int,
    modes: Sequence[int],
    ranks: Sequence[int],
    seed: int,
    build: Callable[[int, Sequence[int], Sequence[int], int], TeRA] = built,
) -> dict[str, Any]:
    """One layer and seed: rank of the update, dimension of what training can move, and LoRA's rank.

    Args:
        size: d = C.
        modes: of either side.
        ranks: R_k of both sides.
        seed: of frozen and trained entries.
        build: makes the adapter.
    """
    adapter = build(size, modes, ranks, seed)
    update = adapter.delta()
    budget = adapter.parameter_count
    affordable = budget // (2 * size)
    lora_rank = 0
    if affordable:
        generator = Generator().manual_seed(seed)
        lora = LoRA(size, size, affordable, generator=generator, dtype=torch.float64)
        first, second = lora.factors()
        lora_rank = int(torch.linalg.matrix_rank(first @ second))
    side = len(modes)
    frozen = adapter.core.numel() + sum(m * r for m, r in zip(adapter.dims, ranks, strict=True))
    return {
        "layer": f"{size} × {size}",
        "ranks": " × ".join(map(str, ranks)),
        "parameters": budget,
        "frozen": frozen,
        "rank": int(torch.linalg.matrix_rank(update)),
        "rank_possible": min(size, prod(ranks[:side]), prod(ranks[side:])),
        "directions": _directions(adapter),
        "lora_rank": lora_rank,
        "lora_parameters": 2 * size,
        "unreached": _unreached(adapter, seed),
        "seeds": 1,
    }


def _directions(adapter: TeRA) -> int:
    """rank ∂ΔW/∂v: in how many directions training can move the update."""
    gram = adapter.update_gram(torch.eye(adapter.in_features, dtype=torch.float64))
    assert gram is not None
    return int(torch.linalg.matrix_rank(gram, hermitian=True, rtol=1e-10))


def _unreached(adapter: TeRA, seed: int) -> float:
    """Share of a random rank-one step's energy outside all steps that training can make.

    LoRA of rank one at B = 0 can make any such step in its own direction A.
    """
    generator = Generator().manual_seed(seed + 1)
    step = torch.outer(
        torch.randn(adapter.in_features, generator=generator, dtype=torch.float64),
        torch.randn(adapter.out_features, generator=generator, dtype=torch.float64),
    ).reshape(-1)
    tangent = adapter.update_tangent().reshape(step.numel(), -1)
    values, vectors = torch.linalg.eigh(tangent.T @ tangent)
    nonzero = values > 1e-10 * values[-1]
    along = (vectors.T @ (tangent.T @ step))[nonzero] / values[nonzero].sqrt()
    return float(1 - along.square().sum() / step.square().sum())


def summary(rows: Sequence[dict[str, Any]]) -> Measured:
    """In how many cases TeRA's rank is higher, and by what it is limited."""
    return Measured(
        {
            "cases": len(rows),
            "higher": sum(row["rank"] > row["lora_rank"] for row in rows),
            "attained": sum(row["rank"] == row["rank_possible"] for row in rows),
            "full_rank": sum(row["layer"].startswith(f"{row['rank']} ") for row in rows),
            "most_directions": max(row["directions"] / row["parameters"] for row in rows),
            "largest_rank_a_parameter": max(row["rank"] / row["parameters"] for row in rows),
            "most_frozen": max(row["frozen"] / row["parameters"] for row in rows),
            "least_unreached": min(row["unreached"] for row in rows),
        },
        rows,
        min(row["seeds"] for row in rows),
    )


def judge(measured: Measured) -> Finding:
    """OK if the rank is higher in every case, FALSE if in none, else REGIME."""
    v = measured.values
    if v["higher"] == 0:
        return Finding(
            Verdict.FALSE,
            f"In none of {v['cases']} cases is the update's rank above that of the LoRA with no "
            "more parameters.",
        )
    best = max(measured.rows, key=lambda row: row["rank"] / row["parameters"])
    text = (
        f"The update's rank is above that of the LoRA with no more parameters in {v['higher']} of "
        f"{v['cases']} cases ({best['layer']}: rank {best['rank']} with {best['parameters']} "
        f"trained numbers, where LoRA needs {best['lora_parameters']} for rank 1). It is the "
        f"frozen core that gives it: rank min(d, product of R on either side), attained in "
        f"{v['attained']}, with up to {v['most_frozen']:.0f} frozen numbers a trained one. "
    )
    caution = (
        "Rank is not freedom: training moves the update in at most "
        f"{v['most_directions']:.2f} directions a parameter, and at least "
        f"{v['least_unreached']:.1%} of a random rank-one step is out of its reach."
    )
    if v["higher"] == v["cases"]:
        return Finding(Verdict.OK, text + caution)
    return Finding(
        Verdict.REGIME,
        text + caution,
        "The rank is high where the frozen core is large: min(d, product of R on either side).",
        r"\mathrm{rank}\,\Delta W \le \min\left(d,\ \prod_{k\ in} R_k,\ \prod_{k\ out} R_k\right)",
    )


def draw(measured: Measured) -> "Figure":
    """Rank of the update and directions of training over the parameters."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing, method_style

    tera, lora = method_style("tera"), method_style("lora")
    with drawing(height_to_width=0.55):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        P = measured.column("parameters")
        style: dict[str, Any] = {"linestyle": "", "color": tera.colour}
        axes.plot(
            P,
            measured.column("rank"),
            marker=tera.marker,
            label="TeRA, rank of the update",
            **style,
        )
        axes.plot(
            P, measured.column("directions"), marker=tera.marker, markerfacecolor="white",
            label="TeRA, directions of training", **style,
        )  # fmt: skip
        axes.plot(
            P, measured.column("lora_rank"), marker=lora.marker, linestyle="", color=lora.colour,
            label="LoRA of no more parameters, rank",
        )  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(-0.3, 2 * max(measured.column("rank")))
        axes.set_xlabel("trained parameters")
        axes.set_ylabel("rank")
        figure.legend(loc="outside right center")
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "cases": "layers and core sizes (least rank over seeds)",
        "higher": "cases with a rank above LoRA's",
        "attained": "cases that attain the largest rank the core allows",
        "full_rank": "cases of full rank",
        "largest_rank_a_parameter": "largest rank a parameter",
        "most_frozen": "most frozen numbers a trained one",
        "most_directions": "most directions of training a parameter",
        "least_unreached": "least part of a random rank-one step out of reach",
    },
    columns={
        "layer": "layer",
        "ranks": "core",
        "seeds": "seeds",
        "parameters": "trained",
        "frozen": "frozen",
        "rank": "rank of the update",
        "rank_possible": "largest the core allows",
        "directions": "directions of training",
        "lora_rank": "LoRA's rank, no more parameters",
        "lora_parameters": "LoRA's parameters at rank 1",
        "unreached": "rank-one step out of reach",
    },
    draw=draw,
    caption="Rank of a TeRA update and dimension of its tangent space over the trained parameters, "
    "beside the rank of the largest LoRA with no more of them (0 where not even rank 1 fits).",
    sample=SAMPLE,
)
