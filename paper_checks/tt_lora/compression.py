"""TT-LoRA (arXiv 2408.01008): compression against LoRA."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator

from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.tensor_train import TTShape, attainable_ranks, plan_matrix, tt_svd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="compression",
    title="TT-LoRA compresses more than LoRA",
    words="An update in tensor-train format needs fewer parameters than LoRA's two factors, "
    "without loss of performance.",
    formula=r"\sum_{k} r_{k-1}\, m_k\, r_k < r\,(d + C)",
    confidence="M",
    assumptions=(
        "from the abstract: at which ranks is not said; compared here at equal rank of the update",
        "performance needs training; here only what the format can hold is computed",
    ),
    source="arXiv 2408.01008, abstract",
)

SAMPLE = Sample(
    "random updates of language models' layers; counts of the larger ones",
    quick=1,
    why="What a format can hold knows no task.",
)

# Layers that language models have: name → (d, C).
LAYERS: Mapping[str, tuple[int, int]] = {
    "768 × 768 (BERT base)": (768, 768),
    "768 × 3072 (its feed-forward)": (768, 3072),
    "4096 × 4096 (LLaMA 7B)": (4096, 4096),
    "4096 × 11008 (its feed-forward)": (4096, 11008),
}
_LENGTH = 6  # cores
_LARGEST_ENTRIES = 1_000_000, 3_000_000  # of layers whose updates are decomposed: quick, full


def measure(effort: Effort) -> Measured:
    """Parameters at equal rank of the update, and what a train of that rank leaves out."""
    ranks = (1, 2, 4, 8, 16, 32) if effort.full else (1, 4, 8, 16)
    rows = []
    for name, (d, C) in LAYERS.items():
        small = d * C <= _LARGEST_ENTRIES[effort.full]
        seeds = SAMPLE.seeds(effort) if small else ()
        rows += [row_of(name, d, C, rank, seeds) for rank in ranks]
    return summary(rows)


def row_of(
    name: str, d: int, C: int, rank: int, seeds: Sequence[int] | range, length: int = _LENGTH
) -> dict[str, Any]:
    """One layer at one rank: both counts, and how much of random LoRA updates a train keeps.

    Args:
        name: of the layer.
        d: inputs.
        C: outputs.
        rank: r of LoRA, and the largest TT-rank, that of the cut between inputs and outputs too.
        seeds: of LoRA updates that are decomposed; none where that costs too much.
        length: cores.
    """
    modes = plan_matrix(d, C, ranks=1, length=length).shape.out_dims
    shape = TTShape.plain(modes, attainable_ranks((1, *[rank] * (length - 1), 1), modes))
    lora = rank * (d + C)
    holding = TTShape.plain(modes, _holding_ranks(modes, d, rank))
    errors = [_lost(d, C, rank, shape, seed) for seed in seeds]
    return {
        "layer": name,
        "rank": rank,
        "modes": " × ".join(map(str, modes)),
        "tt": shape.parameters,
        "lora": lora,
        "ratio": lora / shape.parameters,
        "holding": holding.parameters,
        "holding_ratio": lora / holding.parameters,
        "lost": sum(errors) / len(errors) if errors else None,
        "seeds": len(errors) or None,
        "boundary": _boundary(d, C, modes),
    }


def _holding_ranks(modes: tuple[int, ...], d: int, rank: int) -> tuple[int, ...]:
    """The least TT-ranks of a train that holds every update of that rank: those of a random one."""
    bonds, rows = [1], 1
    for mode in modes[:-1]:
        rows *= mode
        bonds.append(rank if rows == d else 10**9)
    return attainable_ranks((*bonds, 1), modes)


def _boundary(d: int, C: int, modes: tuple[int, ...]) -> int | None:
    """The least rank at which a train has no fewer parameters than LoRA; None if there is none."""
    for rank in range(1, min(d, C) + 1):
        ranks = attainable_ranks((1, *[rank] * (len(modes) - 1), 1), modes)
        if TTShape.plain(modes, ranks).parameters >= rank * (d + C):
            return rank
    return None


def _lost(d: int, C: int, rank: int, shape: TTShape, seed: int) -> float:
    """Relative error of TT-SVD, at these ranks, of an update that LoRA holds exactly."""
    generator = Generator().manual_seed(seed)
    first = torch.randn(d, rank, generator=generator, dtype=torch.float64)
    update = first @ torch.randn(rank, C, generator=generator, dtype=torch.float64)
    train = tt_svd(update.reshape(shape.out_dims), ranks=shape.ranks)
    return train.error / float(update.norm())


def summary(rows: Sequence[dict[str, Any]]) -> Measured:
    """Extremes over layers and ranks."""
    lost = [row["lost"] for row in rows if row["lost"] is not None]
    boundaries = [row["boundary"] for row in rows if row["boundary"] is not None]
    return Measured(
        {
            "cases": len(rows),
            "least_ratio": min(row["ratio"] for row in rows),
            "largest_ratio": max(row["ratio"] for row in rows),
            "smaller": sum(row["ratio"] > 1 for row in rows),
            "least_holding_ratio": min(row["holding_ratio"] for row in rows),
            "largest_holding_ratio": max(row["holding_ratio"] for row in rows),
            "least_lost": min(lost) if lost else None,
            "first_boundary": min(boundaries) if boundaries else None,
        },
        rows,
        min((row["seeds"] for row in rows if row["seeds"]), default=None),
    )


def judge(measured: Measured) -> Finding:
    """FALSE if never smaller; OK if smaller and holding the same updates; else REGIME."""
    v = measured.values
    if v["smaller"] == 0:
        return Finding(
            Verdict.FALSE,
            f"In none of {v['cases']} cases does the train have fewer parameters than LoRA at the "
            f"same rank of the update; LoRA over train is at most {v['largest_ratio']:.2f}.",
        )
    counts = (
        f"At equal rank of the update the train has fewer parameters in {v['smaller']} of "
        f"{v['cases']} cases: LoRA needs {v['least_ratio']:.1f} to {v['largest_ratio']:.0f} times "
        "as many. "
    )
    if v["smaller"] == v["cases"] and v["least_holding_ratio"] > 1:
        return Finding(
            Verdict.OK,
            f"{counts}And a train that holds every update of that rank is still smaller, by a "
            f"factor of at least {v['least_holding_ratio']:.2f}.",
        )
    lost = (
        f" and, cut to the smaller train, loses at least {v['least_lost']:.0%} of its norm"
        if v["least_lost"] is not None
        else ""
    )
    bound = (
        f" From rank {v['first_boundary']} on, the count itself turns (the earliest layer)."
        if v["first_boundary"] is not None
        else ""
    )
    return Finding(
        Verdict.REGIME,
        f"{counts}But it holds fewer updates: a random LoRA update needs a train of "
        f"{1 / v['largest_holding_ratio']:.2f} to {1 / v['least_holding_ratio']:.2f} times LoRA's "
        f"parameters{lost}.{bound}",
        "With TT-ranks R and modes of size m a train of K cores has about K m R² parameters "
        "against r(d + C): smaller while R is small against the square root of r(d + C)/(K m), "
        "and only for updates whose other unfoldings have small ranks as well.",
        r"\sum_k r_{k-1} m_k r_k < r(d+C) \quad\text{while}\quad R^2 \lesssim \frac{r(d+C)}{K m}",
    )


def draw(measured: Measured) -> "Figure":
    """LoRA's parameters over the train's, by rank and layer."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing

    colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
    with drawing(height_to_width=0.55):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        layers = dict.fromkeys(measured.column("layer"))
        for layer, colour in zip(layers, colours, strict=False):
            ranks = measured.column("rank", layer=layer)
            axes.plot(ranks, measured.column("ratio", layer=layer), "o-", color=colour, label=layer)
            axes.plot(ranks, measured.column("holding_ratio", layer=layer), "s--", color=colour)
        axes.axhline(1.0, color="#808080", linewidth=0.8)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("rank of the update")
        axes.set_ylabel("LoRA's parameters over the train's")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "cases": "layers and ranks",
        "smaller": "cases where the train is smaller",
        "least_ratio": "least LoRA's parameters over the train's",
        "largest_ratio": "largest",
        "least_holding_ratio": "least, train that holds every update of the rank",
        "largest_holding_ratio": "largest, such a train",
        "least_lost": "least part of a LoRA update that the small train loses",
        "first_boundary": "least rank at which a train is no smaller",
    },
    columns={
        "layer": "layer",
        "modes": "modes",
        "rank": "rank",
        "tt": "parameters, train",
        "lora": "parameters, LoRA",
        "ratio": "LoRA over train",
        "holding": "train that holds every such update",
        "holding_ratio": "LoRA over that train",
        "lost": "LoRA update lost by the small train, mean",
        "seeds": "seeds of that",
        "boundary": "rank where the count turns",
    },
    draw=draw,
    caption="LoRA's parameters over those of a train with the same rank of the update (solid), "
    "and over those of a train that can hold every update of that rank (dashed). Below the line "
    "the train is the larger one.",
    sample=SAMPLE,
)
