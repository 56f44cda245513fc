"""Table 4: parameters and cost of a forward pass."""

from collections.abc import Callable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor

from ntklab.adapters import Adapter, FactorAdapter, LoRA, build_adapter
from ntklab.bench import counted, in_turns, machine
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="table4",
    title="Table 4, parameters and forward cost",
    words="With K cores, modes of size n and TT-ranks R, TT-LoRA has 2KnR² parameters and "
    "TensorGuide KnR²; forward passes cost of the order of the parameters.",
    formula=r"P_{LoRA} = r(m+n),\quad P_{TT\text{-}LoRA} = 2KnR^2,\quad P_{TG} = KnR^2",
    confidence="M",
    assumptions=(
        "all modes and TT-ranks are equal, and the latent has no modes of its own",
        "the factors are never formed",
    ),
)

SAMPLE = Sample("the released heads: counts; times of one machine beside", by="nothing")
_D, _C, _SAMPLES = 512, 2, 64
# How the same outputs can be computed: label, colour, marker.
WAYS = {
    "formed": ("factors formed, as released", "#D55E00", "^"),
    "library": ("ntklab's forward pass", "#0072B2", "o"),
    "merged": ("update merged into one matrix", "#009E73", "s"),
}


def measure(effort: Effort) -> Measured:
    """The released heads: exact counts, formulas, what torch counts, and times."""
    heads: dict[str, Adapter] = {
        "LoRA, r = 4": released("lora"),
        "TT-LoRA": released("tt-lora"),
        **{f"TensorGuide, M = {M}": released("tensorguide", M) for M in (1024, 2048, 4096)},
    }
    return summary([row_of(name, head) for name, head in heads.items()], heads, effort)


def released(method: str, width: int | None = None) -> Adapter:
    """A head of the released code, in float32 as it runs, without its base layer."""
    head = build_adapter(
        method, _D, _C, preset="released", width=width, generator=Generator().manual_seed(0)
    )
    head.base = None
    return head


@torch.no_grad()
def row_of(name: str, head: Adapter, samples: int = _SAMPLES) -> dict[str, Any]:
    """Parameters by count and by the table's formula; multiply-adds a sample by three ways."""
    formula = table_formula(head)
    counts = {way: counted(run) for way, run in ways(head, samples).items()}
    return {
        "head": name,
        "parameters": head.parameter_count,
        "formula": formula,
        "formula_ratio": formula / head.parameter_count,
        "weights": head.generate().numel(),
        "head_macs": head.macs,
        **{way: one.multiply_adds / samples for way, one in counts.items()},
        **{f"{way}_bytes": one.bytes for way, one in counts.items()},
        **{f"{way}_operations": one.operations for way, one in counts.items()},
        "excess": head.macs / head.parameter_count,
    }


def table_formula(head: Adapter) -> int:
    """The table's count, n the largest mode and R the largest TT-rank."""
    if isinstance(head, LoRA):
        return head.width * (head.in_features + head.out_features)
    trains = head.shapes.values()
    largest = [
        max(size(shape) for shape in trains)
        for size in (lambda t: t.length, lambda t: max(t.out_dims), lambda t: max(t.ranks) ** 2)
    ]
    return len(trains) * prod(largest)


def ways(head: Adapter, samples: int = _SAMPLES) -> dict[str, Callable[[], Tensor]]:
    """Functions without arguments that compute the outputs of one batch, by way."""
    assert isinstance(head, FactorAdapter)
    factor_head: FactorAdapter = head
    x = torch.randn(samples, head.in_features, generator=Generator().manual_seed(1))
    x = x.to(next(head.parameters()).dtype)

    def formed() -> Tensor:
        first, second = factor_head.factors()
        inner = factor_head.activation.function(x @ first)
        return factor_head.scale * (inner @ second)

    ways: dict[str, Callable[[], Tensor]] = {"formed": formed, "library": lambda: head(x)}
    if head.linear:
        with torch.no_grad():
            first, second = factor_head.factors()
            update = factor_head.scale * (first @ second)
        ways["merged"] = lambda: x @ update
    return ways


def summary(rows: list[dict[str, Any]], heads: Mapping[str, Adapter], effort: Effort) -> Measured:
    """Times by turns, and the extremes over tensor heads."""
    for row, head in zip(rows, heads.values(), strict=True):
        repeats = 60 if effort.full else 12
        with torch.no_grad():
            times = in_turns(ways(head), repeats, collect=False)
        row |= {f"{way}_us": 1e6 * timing.median for way, timing in times.items()}
    lora = [row for row in rows if row["head"].startswith("LoRA")]
    tensor = [row for row in rows if row not in lora]
    worst = max(tensor, key=lambda row: row["excess"])
    return Measured(
        {
            "lora_exact": all(row["formula"] == row["parameters"] for row in lora),
            "least_ratio": min(row["formula_ratio"] for row in tensor),
            "largest_ratio": max(row["formula_ratio"] for row in tensor),
            "worst_head": worst["head"],
            "worst_excess": worst["excess"],
            "lora_excess": max(row["excess"] for row in lora),
            "against_lora": max(row["formed"] for row in tensor) / max(r["formed"] for r in lora),
            "bytes_against_lora": max(row["formed_bytes"] for row in tensor)
            / max(row["formed_bytes"] for row in lora),
            "library_against_lora": max(row["library"] for row in tensor)
            / max(row["library"] for row in lora),
            "merged_equal": len({row["merged"] for row in rows if "merged" in row}) == 1,
            "machine": machine("cpu"),
        },
        rows,
    )


def judge(measured: Measured) -> Finding:
    """FALSE if the forward pass is beyond its parameters, MEND if only counts need repair."""
    v = measured.values
    exact = v["least_ratio"] == v["largest_ratio"] == 1 and v["lora_exact"]
    counts = (
        "The counts are exact"
        if exact
        else f"LoRA's count is {'exact' if v['lora_exact'] else 'not exact'}; for trains KnR² is "
        f"{v['least_ratio']:.1f} to {v['largest_ratio']:.1f} times the true count"
    )
    mended = (
        "Parameters are the sum over cores of r(k−1) n(k) m(k) r(k), with latent modes n(k). A "
        "forward pass that forms both factors costs M(d + C) multiply-adds a sample and as much "
        "memory; without σ the update can be merged, and then every method costs dC."
    )
    formula = r"P = \sum_{k=1}^{K} r_{k-1}\, n_k\, m_k\, r_k"
    # Ten times is still "of the order of"; LoRA itself needs one multiply-add a parameter.
    if v["worst_excess"] > 10 * v["lora_excess"]:
        merged = " Merged, all heads cost the same." if v["merged_equal"] else ""
        return Finding(
            Verdict.FALSE,
            f"{counts}. But the factors are formed: {v['worst_head']} needs "
            f"{v['worst_excess']:.0f} multiply-adds a sample and parameter where LoRA needs "
            f"{v['lora_excess']:.0f}. As torch counts a batch of {_SAMPLES}, generation included, "
            f"that is {v['against_lora']:.0f} times LoRA's forward pass, with "
            f"{v['bytes_against_lora']:.0f} times the bytes read and written; a pass that "
            f"contracts through the cores still needs up to {v['library_against_lora']:.1f} times "
            f"the multiply-adds.{merged}",
            mended,
            formula,
            f"with its factors formed, {v['worst_head']} takes {v['against_lora']:.0f} times "
            "LoRA's multiply-adds forward",
        )
    if not exact:
        return Finding(
            Verdict.MEND,
            f"{counts}. Forward passes need at most {v['worst_excess']:.1f} multiply-adds a "
            "sample and parameter.",
            mended,
            formula,
        )
    return Finding(
        Verdict.OK,
        f"{counts}, and forward passes need at most {v['worst_excess']:.1f} multiply-adds a "
        "sample and parameter.",
    )


def draw(measured: Measured) -> "Figure":
    """Multiply-adds a sample by head and way, beside the parameters."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing

    with drawing(height_to_width=0.5):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        places = range(len(measured.rows))
        for way, (label, colour, marker) in WAYS.items():
            values: Any = [row.get(way) for row in measured.rows]
            axes.plot(places, values, marker, linestyle="", color=colour, label=label)
        axes.plot(
            places, measured.column("parameters"), "_", color="#000000", markersize=16,
            label="parameters",
        )  # fmt: skip
        axes.set_yscale("log")
        axes.set_xticks(places, [row["head"].replace(", ", "\n") for row in measured.rows])
        axes.set_ylabel("multiply-adds a sample")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "lora_exact": "LoRA's count is exact",
        "least_ratio": "least formula over true count, trains",
        "largest_ratio": "largest",
        "worst_head": "head with most multiply-adds a parameter",
        "worst_excess": "multiply-adds a sample and parameter, that head",
        "lora_excess": "the same, LoRA",
        "against_lora": "multiply-adds over LoRA's, factors formed, generation shared by the batch",
        "library_against_lora": "the same through the cores (ntklab's forward pass)",
        "bytes_against_lora": "bytes read and written over LoRA's, factors formed",
        "merged_equal": "merged, all heads need the same multiply-adds",
        "machine": "machine of the times",
    },
    columns={
        "head": "head",
        "parameters": "parameters",
        "formula": "the table's formula",
        "weights": "weights generated",
        "head_macs": "multiply-adds a sample, weights given",
        "formed": "counted by torch, factors formed",
        "library": "counted, ntklab's pass",
        "merged": "counted, merged",
        "formed_bytes": "bytes a batch, formed",
        "library_bytes": "bytes, ntklab's pass",
        "merged_bytes": "bytes, merged",
        "formed_operations": "operations, formed",
        "library_operations": "operations, ntklab's pass",
        "formed_us": "µs a batch, formed",
        "library_us": "µs, ntklab's pass",
        "merged_us": "µs, merged",
    },
    draw=draw,
    caption=f"Multiply-adds a sample that torch counts for the released heads on batches of "
    f"{_SAMPLES}, generation of the weights included, beside their parameters.",
    sample=SAMPLE,
)
