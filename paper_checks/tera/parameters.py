"""TeRA's trained parameters beside those of a vector-based method, counted."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict

CLAIM = Claim(
    id="parameters",
    title="TeRA trains as few parameters as vector-based methods",
    words="TeRA keeps the count of vector-based adapters such as VeRA: only scaling vectors are "
    "trained, and large random factors are frozen and shared across layers.",
    formula=r"\sum_k R_k \le C + r",
    confidence="M",
    assumptions=(
        "the network is reconstructed from the abstract: vectors of R_k entries, at most as many "
        "as the mode has",
        "VeRA trains a vector of C entries and one of r, here at r = 256 and at r = 1",
        "published tables did not reach us; accuracies wait for training records",
    ),
    source="arXiv 2509.03234, abstract",
)
SAMPLE = Sample("layers of language models, all modes a side from one on: counts", by="nothing")

# Layer → modes of its inputs and of its outputs, fewer and fewer of them.
LAYERS: Mapping[str, tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]] = {
    "768 × 768": (((768,), (768,)), ((24, 32), (24, 32)), ((8, 8, 12), (8, 8, 12))),
    "4096 × 4096": (((4096,), (4096,)), ((64, 64), (64, 64)), ((16, 16, 16), (16, 16, 16))),
    "4096 × 11008": (((4096,), (11008,)), ((64, 64), (86, 128)), ((16, 16, 16), (8, 32, 43))),
}


def measure(effort: Effort) -> Measured:
    """Every layer and way to cut it into modes, at the largest core there is."""
    rows = [row_of(name, *modes) for name, ways in LAYERS.items() for modes in ways]
    return summary(rows)


def row_of(
    name: str, inputs: Sequence[int], outputs: Sequence[int], vera_ranks: Sequence[int] = (256, 1)
) -> dict[str, Any]:
    """Counts of one layer with R_k = m_k, which no core of TeRA exceeds."""
    d, C = prod(inputs), prod(outputs)
    trained = sum(inputs) + sum(outputs)
    row: dict[str, Any] = {
        "layer": name,
        "modes": f"{' × '.join(map(str, inputs))} to {' × '.join(map(str, outputs))}",
        "tensor": len(inputs) > 1,
        "tera": trained,
        "frozen": d * C + sum(m * m for m in (*inputs, *outputs)),
        "weights": d * C,
    }
    for rank in vera_ranks:
        row |= {f"vera_{rank}": C + rank, f"fewer_{rank}": trained <= C + rank}
    return row


def summary(rows: Sequence[dict[str, Any]]) -> Measured:
    """In how many cases TeRA trains no more, with a side cut into modes and without."""
    cut = [row for row in rows if row["tensor"]]
    whole = [row for row in rows if not row["tensor"]]
    return Measured(
        {
            "cut": len(cut),
            "cut_fewer": sum(row["fewer_1"] for row in cut),
            "whole": len(whole),
            "whole_fewer": sum(row["fewer_256"] for row in whole),
            "largest_share": max((row["tera"] / row["vera_1"] for row in cut), default=None),
            "most_frozen": max(row["frozen"] / row["weights"] for row in rows),
        },
        rows,
    )


def judge(measured: Measured) -> Finding:
    """OK if no tensorized layer trains more than VeRA of rank one, FALSE if all do."""
    v = measured.values
    because = (
        f"With either side cut into two or three modes TeRA trains no more than VeRA of rank 1 in "
        f"{v['cut_fewer']} of {v['cut']} cases, also with the largest core"
        + (f" (at most {v['largest_share']:.2f} times as many). " if v["cut"] else ". ")
        + f"Uncut it trains no more than VeRA of rank 256 in {v['whole_fewer']} of {v['whole']}. "
        f"What is frozen is then up to {v['most_frozen']:.1f} times the layer's own weights."
    )
    if v["cut_fewer"] == v["cut"] > 0:
        return Finding(Verdict.OK, because)
    if v["cut_fewer"] == 0:
        return Finding(Verdict.FALSE, because)
    return Finding(
        Verdict.REGIME,
        because,
        "The count is the sum of the modes, so it is small where the sides are cut into small "
        "modes.",
        r"\sum_k m_k \le C + r",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "cut": "cases with either side cut into modes",
        "cut_fewer": "of them with no more than VeRA of rank 1",
        "largest_share": "most of TeRA's over VeRA's, rank 1, cut",
        "whole": "cases with sides uncut",
        "whole_fewer": "of them with no more than VeRA of rank 256",
        "most_frozen": "most frozen numbers over the layer's weights",
    },
    columns={
        "layer": "layer",
        "modes": "modes",
        "tera": "trained, TeRA",
        "vera_256": "VeRA, r = 256",
        "vera_1": "VeRA, r = 1",
        "frozen": "frozen, TeRA",
        "weights": "weights of the layer",
    },
    sample=SAMPLE,
)
