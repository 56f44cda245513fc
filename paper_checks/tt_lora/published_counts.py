"""TT-LoRA's published share of LoRA's parameters, counted from the published shapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.tensor_train import TTShape

CLAIM = Claim(
    id="published_counts",
    title="TT-LoRA trains 2 % of LoRA's parameters",
    words="On the queries and values of LLaMA 3.2 1B, TT-LoRA of TT-rank 5 trains 2 % of the "
    "parameters of LoRA of rank 16.",
    formula=r"\frac{\sum_{k} r_{k-1}\, m_k\, r_k}{r\,(d + C)} = 0.02,\quad r_k = 5,\ r = 16",
    confidence="H",
    assumptions=(
        "shapes and ranks are those of the authors' public code for arXiv 2504.21190, which goes "
        "on from arXiv 2408.01008; tables of the first paper did not reach us",
        "the share says nothing of accuracy, which waits for training records",
    ),
    source="arXiv 2504.21190, contribution 2, and its public code",
)
SAMPLE = Sample("the published shapes of five models: counts", by="nothing")
TT_RANK, LORA_RANK = 5, 16
CLAIMED_PERCENT = 2


@dataclass(frozen=True)
class Layers:
    """The adapted layers of a model: d, C and modes of queries and of values, and how many."""

    count: int
    query: tuple[int, int, tuple[int, ...]]
    value: tuple[int, int, tuple[int, ...]]


CLAIMED = "LLaMA 3.2 1B"
MODELS: Mapping[str, Layers] = {
    CLAIMED: Layers(
        16, (2048, 2048, (16, 8, 4, 4, 4, 4, 8, 16)), (2048, 512, (16, 16, 4, 2, 2, 16, 16))
    ),
    "RoBERTa base": Layers(12, (768, 768, (64, 4, 3, 3, 4, 64)), (768, 768, (64, 4, 3, 3, 4, 64))),
    "LLaMA 3.2 3B": Layers(
        28,
        (3072, 3072, (16, 4, 4, 3, 2, 2, 2, 2, 3, 4, 4, 16)),
        (3072, 1024, (16, 4, 4, 3, 2, 2, 2, 2, 4, 4, 16)),
    ),
    "LLaMA 3.1 8B": Layers(
        32,
        (4096, 4096, (16, 4, 4, 4, 2, 2, 2, 2, 4, 4, 4, 16)),
        (4096, 1024, (16, 4, 4, 4, 2, 2, 2, 2, 4, 4, 16)),
    ),
    "LLaMA 3.1 70B": Layers(
        80,
        (8192, 8192, (16, 4, 4, 4, 2, 2, 2, 2, 2, 2, 4, 4, 4, 16)),
        (8192, 1024, (16, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4, 16)),
    ),
}


def measure(effort: Effort) -> Measured:
    """Both counts of every model, and whether the modes hold the layer."""
    return summary([row_of(name, layers) for name, layers in MODELS.items()])


def row_of(name: str, layers: Layers, rank: int = TT_RANK) -> dict[str, Any]:
    """Parameters of one model under both methods, and of LoRA at the rank a train can have."""
    both = (layers.query, layers.value)
    trains = sum(train_of(modes, rank).parameters for _, _, modes in both)
    sums = sum(d + C for d, C, _ in both)
    return {
        "model": name,
        "layers": layers.count,
        "train": layers.count * trains,
        "lora": layers.count * LORA_RANK * sums,
        "percent": 100 * trains / (LORA_RANK * sums),
        "percent_equal_rank": 100 * trains / (rank * sums),
        "fits": all(prod(modes) == d * C for d, C, modes in both),
    }


def train_of(modes: Sequence[int], rank: int) -> TTShape:
    """The train of these modes with that rank at every bond."""
    return TTShape.plain(tuple(modes), (1, *[rank] * (len(modes) - 1), 1))


def summary(rows: Sequence[dict[str, Any]]) -> Measured:
    """The claimed model's share, and the least and largest of all."""
    claimed = next(row for row in rows if row["model"] == CLAIMED)
    return Measured(
        {
            "percent": claimed["percent"],
            "percent_equal_rank": claimed["percent_equal_rank"],
            "train": claimed["train"],
            "lora": claimed["lora"],
            "fitting": sum(row["fits"] for row in rows),
            "models": len(rows),
            "least_percent": min(row["percent"] for row in rows),
            "largest_percent": max(row["percent"] for row in rows),
        },
        rows,
    )


def judge(measured: Measured) -> Finding:
    """OK if the share rounds to the claimed one and the shapes hold their layers."""
    v = measured.values
    if v["fitting"] < v["models"]:
        return Finding(
            Verdict.FALSE,
            f"The published modes hold their layers in {v['fitting']} of {v['models']} models.",
        )
    because = (
        f"TT-LoRA has {v['train']} parameters and LoRA {v['lora']}, {v['percent']:.2f} % "
        f"({v['least_percent']:.2f} to {v['largest_percent']:.2f} % over {v['models']} models of "
        f"the code). The two are not of one rank: of a LoRA of rank {TT_RANK}, the most that this "
        f"train's update can have, it has {v['percent_equal_rank']:.1f} %."
    )
    right = round(v["percent"]) == CLAIMED_PERCENT
    return Finding(Verdict.OK if right else Verdict.FALSE, because)


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "train": "parameters of TT-LoRA, the claimed model",
        "lora": "of LoRA",
        "percent": "percent of LoRA's",
        "percent_equal_rank": "percent of a LoRA of the train's rank",
        "fitting": "models whose modes hold their layers",
        "models": "models",
    },
    columns={
        "model": "model",
        "layers": "layers",
        "train": "TT-LoRA, TT-rank 5",
        "lora": "LoRA, rank 16",
        "percent": "percent",
        "percent_equal_rank": "percent of LoRA, rank 5",
        "fits": "modes hold the layer",
    },
    sample=SAMPLE,
)
