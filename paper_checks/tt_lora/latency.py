"""TT-LoRA (arXiv 2408.01008): latency and computation of inference against LoRA."""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor, nn

from ntklab.adapters import LoRA, TTDelta
from ntklab.bench import Counts, counted, in_turns, machine
from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.tensor_train import plan_matrix
from ntklab.tensor_train.application import apply_train

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
        "decided by counts, since a time is one machine's: it stands where a pass needs fewer "
        "multiply-adds, and neither more bytes nor more operations",
    ),
    source="arXiv 2408.01008, abstract",
)

SAMPLE = Sample("layers of language models: counts; times of one machine beside", by="nothing")
RANK, LENGTH = 8, 6
WAYS = {"formed": "formed as a matrix", "cores": "core by core"}
COUNTS = {
    "multiply_adds": ("multiply-adds", "#0072B2", "o"),
    "bytes": ("bytes", "#D55E00", "^"),
    "operations": ("operations", "#009E73", "s"),
}


def measure(effort: Effort) -> Measured:
    """Whole layers (frozen weight and update): what their passes count, and times by turns."""
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
    count: Callable[[str, Callable[[], Tensor]], Counts] = lambda _, run: counted(run),
) -> dict[str, Any]:
    """One layer and batch: what each pass counts, and its time over LoRA's.

    Args:
        d: inputs.
        C: outputs.
        tokens: rows of the batch.
        repeats: rounds of the clock.
        count: counts a pass, given its name.
    """
    runs = passes(d, C, tokens)
    counts = {name: count(name, run) for name, run in runs.items()}
    # Ratios are taken round by round, so none may leave before the others.
    times = in_turns(runs, repeats, budget=inf, collect=False)
    seconds = {name: timing.seconds for name, timing in times.items()}
    row: dict[str, Any] = {"layer": f"{d} × {C}", "tokens": tokens}
    for name, one in counts.items():
        row |= {f"{name}_{field}": getattr(one, field) for field in COUNTS}
    for way in WAYS:
        row[f"{way}_below"] = counts[way].below(counts["lora"])
        row[f"{way}_above"] = counts["lora"].below(counts[way])
    row["lora_us"] = 1e6 * median(seconds["lora"])
    for name, rival in (("formed", "lora"), ("cores", "lora"), ("merged", "merged_lora")):
        # Within a round both meet the same neighbours on the machine.
        pairs = zip(seconds[name], seconds[rival], strict=True)
        row[f"{name}_time"] = median(own / other for own, other in pairs)
    return row


def summary(rows: Sequence[dict[str, Any]]) -> Measured:
    """In how many cases a train needs less, or more, by each count and by all of them."""
    values: dict[str, Any] = {"cases": len(rows)}
    for way in WAYS:
        for field in COUNTS:
            ratios = [row[f"{way}_{field}"] / row[f"lora_{field}"] for row in rows]
            values[f"{way}_fewer_{field}"] = sum(ratio < 1 for ratio in ratios)
            values |= {f"{way}_least_{field}": min(ratios), f"{way}_most_{field}": max(ratios)}
        values[f"{way}_below"] = sum(
            row[f"{way}_below"] and row[f"{way}_multiply_adds"] < row["lora_multiply_adds"]
            for row in rows
        )
        values[f"{way}_above"] = sum(row[f"{way}_above"] for row in rows)
    values["merged_equal"] = all(
        row[f"merged_{field}"] == row[f"merged_lora_{field}"] for row in rows for field in COUNTS
    )
    return Measured(values | {"machine": machine("cpu")}, rows)


def judge(measured: Measured) -> Finding:
    """OK if a way needs less in every case, FALSE if none has fewer multiply-adds, else REGIME."""
    v = measured.values
    cases = v["cases"]
    best = max(WAYS, key=lambda way: v[f"{way}_below"])
    counts = ". ".join(f"{words.capitalize()}: {_counts(v, way)}" for way, words in WAYS.items())
    merged = (
        "Merged, both methods are one matrix product of the same size."
        if v["merged_equal"]
        else "Merged, the two count differently."
    )
    if v[f"{best}_below"] == cases:
        return Finding(
            Verdict.OK,
            f"Unmerged, the train needs less than LoRA at all {cases} layers and batches. "
            f"{counts}. {merged}",
        )
    mended = (
        "Latency is decided by how the update is applied, not by its parameters: core by core a "
        "train of rank r needs at least the r(d + C) multiply-adds of LoRA, in more and smaller "
        "products; merged, there is no difference."
    )
    if not any(v[f"{way}_fewer_multiply_adds"] for way in WAYS) and v["merged_equal"]:
        return Finding(
            Verdict.FALSE,
            f"Unmerged, the train has fewer multiply-adds than LoRA of the same rank at none of "
            f"{cases} layers and batches. {counts}. {merged}",
            mended,
        )
    return Finding(
        Verdict.REGIME,
        f"Unmerged, the train needs less than LoRA in {v[f'{best}_below']} of {cases} cases at "
        f"best. {counts}. {merged}",
        mended,
    )


def _counts(v: Mapping[str, Any], way: str) -> str:
    return "; ".join(
        f"{v[f'{way}_least_{field}']:.2f} to {v[f'{way}_most_{field}']:.2f} times LoRA's {words}, "
        f"fewer in {v[f'{way}_fewer_{field}']} of {v['cases']} cases"
        for field, (words, _, _) in COUNTS.items()
    )


def draw(measured: Measured) -> "Figure":
    """Each count of a layer over that of the layer with LoRA, a panel a way."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing

    rows = measured.rows
    with drawing(columns=2, height_to_width=1.1):
        figure = Figure(layout="constrained")
        panels = figure.subplots(1, len(WAYS), sharey=True)
        words = [f"{row['layer']}, {row['tokens']}" for row in rows]
        for axes, (way, title) in zip(panels, WAYS.items(), strict=True):
            for field, (label, colour, marker) in COUNTS.items():
                ratios = [row[f"{way}_{field}"] / row[f"lora_{field}"] for row in rows]
                axes.plot(ratios, marker, color=colour, label=label)
            axes.axhline(1.0, color="#808080", linewidth=0.8)
            axes.set_yscale("log")
            axes.set_xticks(range(len(rows)), words, rotation=60, ha="right", fontsize="small")
            axes.set_title(f"train, {title}")
            axes.set_xlabel("layer, tokens")
        panels[0].set_ylabel("over the layer with LoRA")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "cases": "layers and batches",
        **{
            f"{way}_below": f"cases where a train {words} needs less" for way, words in WAYS.items()
        },
        **{
            f"{way}_above": f"cases where a train {words} needs more" for way, words in WAYS.items()
        },
        "cores_fewer_bytes": "cases where a train core by core moves fewer bytes",
        "merged_equal": "merged, both count the same",
        "machine": "machine of the times",
    },
    columns={
        "layer": "layer",
        "tokens": "tokens",
        **{
            f"{name}_{field}": f"{words}, {title}"
            for field, (words, _, _) in COUNTS.items()
            for name, title in (("lora", "LoRA"), *WAYS.items(), ("merged", "merged"))
        },
        "lora_us": "µs, LoRA unmerged",
        "formed_time": "time over LoRA's, formed",
        "cores_time": "core by core",
        "merged_time": "merged over merged LoRA",
    },
    draw=draw,
    caption="Multiply-adds, bytes read and written, and operations of a layer with a train as its "
    "update, over those of the layer with LoRA of the same rank.",
    sample=SAMPLE,
)
