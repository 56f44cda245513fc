"""TT-LoRA (arXiv 2408.01008): inference latency against LoRA."""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ntklab.adapters import LoRA, TTDelta
from ntklab.bench import in_turns
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.tensor_train import plan_matrix
from ntklab.tensor_train.application import apply_train
from paper_checks.tensorguide.table4 import multiply_adds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="latency",
    title="TT-LoRA answers faster than LoRA",
    words="An update in tensor-train format lowers inference latency and computation against "
    "LoRA's two factors.",
    confidence="L",
    assumptions=(
        "from the abstract: how the update is applied is not said; compared here unmerged, formed "
        "as a matrix or core by core, and merged into the frozen weight",
        "times are of this machine and one thread group; multiply-adds are exact",
    ),
    source="arXiv 2408.01008, abstract",
)

SAMPLE = Sample("layers of language models: counts, and times of this machine", by="nothing")
RANK, LENGTH = 8, 6
# Rival of LoRA's unmerged pass: label, colour, marker.
RIVALS = {
    "formed": ("train, formed as a matrix", "#D55E00", "^"),
    "cores": ("train, core by core", "#CC79A7", "D"),
    "merged": ("either, merged", "#009E73", "s"),
}


def measure(effort: Effort) -> Measured:
    """Whole layers (frozen weight and update) by turns, with multiply-adds of the update."""
    layers = [(768, 768), (768, 3072)] + [(2048, 2048), (4096, 4096)] * effort.full
    repeats = 60 if effort.full else 9
    return summary([row_of(d, C, tokens, repeats) for d, C in layers for tokens in (1, 64)])


def passes(d: int, C: int, tokens: int) -> dict[str, Callable[[], Tensor]]:
    """Forward passes of one layer over one batch, by name; merged ones once for each method."""
    generator = Generator().manual_seed(0)
    base = nn.Linear(d, C, bias=False)
    shape = plan_matrix(d, C, ranks=RANK, length=LENGTH).shape
    lora = LoRA(d, C, RANK, base=base, generator=generator, dtype=torch.float32)
    train = TTDelta(d, C, shape=shape, base=base, generator=generator, dtype=torch.float32)
    x = torch.randn(tokens, d, generator=generator)
    with torch.no_grad():
        merged_lora = (base.weight.T + lora.scale * lora.A.T @ lora.B.T).contiguous()
        merged = (base.weight.T + train.scale * train.delta()).contiguous()
    cores = list(train.cores)
    return {
        "lora": lambda: base(x) + lora.scale * ((x @ lora.A.T) @ lora.B.T),
        "formed": lambda: train(x),
        "cores": lambda: base(x) + train.scale * apply_train(cores, x),
        "merged_lora": lambda: x @ merged_lora,
        "merged": lambda: x @ merged,
    }


@torch.no_grad()
def row_of(
    d: int,
    C: int,
    tokens: int,
    repeats: int,
    passes_of: Callable[[int, int, int], Mapping[str, Callable[[], Tensor]]] = passes,
) -> dict[str, Any]:
    """One layer and batch: multiply-adds a token, times, and quartiles of their ratios.

    Args:
        d: inputs.
        C: outputs.
        tokens: rows of the batch.
        repeats: rounds that count.
        passes_of: the passes to compare.
    """
    runs = passes_of(d, C, tokens)
    # Ratios are taken round by round, so none may leave before the others.
    times = in_turns(runs, repeats, budget=inf, collect=False)
    seconds = {name: np.array(timing.seconds) for name, timing in times.items()}
    row: dict[str, Any] = {
        "layer": f"{d} × {C}",
        "tokens": tokens,
        "lora_us": 1e6 * float(np.median(seconds["lora"])),
    }
    for name, run in runs.items():
        row[f"{name}_macs"] = multiply_adds(run) / tokens
    for name in RIVALS:
        # Within a round both meet the same neighbours on the machine.
        rival = "merged_lora" if name == "merged" else "lora"
        low, middle, high = np.quantile(seconds[name] / seconds[rival], (0.25, 0.5, 0.75))
        row |= {f"{name}_low": float(low), f"{name}_ratio": float(middle)}
        row[f"{name}_high"] = float(high)
    return row


def summary(rows: Sequence[dict[str, Any]]) -> Measured:
    """In how many cases a train is faster or slower beyond the quartiles, and needs fewer adds."""
    values: dict[str, Any] = {"cases": len(rows)}
    for name in RIVALS:
        rival = "merged_lora" if name == "merged" else "lora"
        values |= {
            f"{name}_faster": sum(row[f"{name}_high"] < 1 for row in rows),
            f"{name}_slower": sum(row[f"{name}_low"] > 1 for row in rows),
            f"{name}_fewer": sum(row[f"{name}_macs"] < row[f"{rival}_macs"] for row in rows),
            f"{name}_least": min(row[f"{name}_ratio"] for row in rows),
            f"{name}_largest": max(row[f"{name}_ratio"] for row in rows),
        }
    values["merged_equal"] = all(row["merged_macs"] == row["merged_lora_macs"] for row in rows)
    return Measured(values, rows)


def judge(measured: Measured) -> Finding:
    """OK if a way to apply the train is faster in every case, FALSE if none ever is."""
    v = measured.values
    ways = ("formed", "cores")
    best = max(ways, key=lambda way: (v[f"{way}_faster"], -v[f"{way}_slower"]))
    told = "; ".join(
        f"{RIVALS[way][0]}: {v[f'{way}_least']:.1f} to {v[f'{way}_largest']:.1f} times LoRA's "
        f"time, fewer multiply-adds in {v[f'{way}_fewer']} of {v['cases']} cases"
        for way in ways
    )
    merged = (
        f"Merged, both methods are one matrix product of the same size, and the times "
        f"differ by {v['merged_least']:.2f} to {v['merged_largest']:.2f}."
        if v["merged_equal"]
        else "Merged, the two need different numbers of multiply-adds."
    )
    if v[f"{best}_faster"] == v["cases"]:
        return Finding(
            Verdict.OK,
            f"Unmerged, the train is faster than LoRA at all {v['cases']} layers and batches: "
            f"{told}. {merged}",
        )
    mended = (
        "Latency is decided by how the update is applied, not by its parameters: core by core a "
        "train of rank r needs at least the r(d + C) multiply-adds of LoRA, in more and smaller "
        "products; merged, there is no difference."
    )
    fewer = sum(v[f"{way}_faster"] + v[f"{way}_fewer"] for way in ways)
    if fewer == 0 and v["merged_equal"]:  # neither by the clock nor by count
        return Finding(
            Verdict.FALSE,
            f"Unmerged, the train is at none of {v['cases']} layers and batches faster than LoRA "
            f"of the same rank: {told}. {merged}",
            mended,
        )
    return Finding(
        Verdict.REGIME,
        f"Unmerged, the train is faster in {v[f'{best}_faster']} of {v['cases']} cases at best "
        f"and slower in {v[f'{best}_slower']}: {told}. {merged}",
        mended,
    )


def draw(measured: Measured) -> "Figure":
    """Times over LoRA's, with quartiles."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing

    with drawing(height_to_width=0.5):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(measured.rows))
        for shift, (name, (label, colour, marker)) in zip(
            (-0.15, 0.0, 0.15), RIVALS.items(), strict=True
        ):
            low, middle, high = (
                np.array(measured.column(f"{name}_{end}")) for end in ("low", "ratio", "high")
            )
            axes.errorbar(
                places + shift, middle, [middle - low, high - middle], fmt=marker, color=colour,
                label=label,
            )  # fmt: skip
        axes.axhline(1.0, color="#808080", linewidth=0.8)
        axes.set_yscale("log")
        words = [f"{row['layer']}\n{row['tokens']} tokens" for row in measured.rows]
        axes.set_xticks(places, words)
        axes.set_ylabel("time over LoRA's")
        figure.legend(loc="outside lower center", ncols=3)
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "cases": "layers and batches",
        "formed_faster": "cases where the formed train is faster than LoRA, unmerged",
        "formed_slower": "slower",
        "cores_faster": "cases where the train core by core is faster",
        "cores_slower": "slower",
        "cores_fewer": "cases where it needs fewer multiply-adds",
        "merged_equal": "merged, both need the same multiply-adds",
        "merged_faster": "cases where the merged train is faster than merged LoRA",
        "merged_slower": "slower",
    },
    columns={
        "layer": "layer",
        "tokens": "tokens",
        "lora_us": "µs, LoRA unmerged",
        "lora_macs": "multiply-adds a token, LoRA",
        "formed_macs": "train, formed",
        "cores_macs": "train, core by core",
        "merged_macs": "merged",
        "formed_ratio": "time over LoRA's, formed",
        "cores_ratio": "core by core",
        "merged_ratio": "merged over merged LoRA",
    },
    draw=draw,
    caption="Time of a layer with a train as its update over that with LoRA of the same rank, "
    "measured by turns: medians and quartiles of the ratios within a round. Merged passes are "
    "compared with merged LoRA.",
    sample=SAMPLE,
)
