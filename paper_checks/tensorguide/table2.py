"""Table 2: the hidden width of TensorGuide."""

from collections.abc import Sequence
from typing import Any

import torch

from ntklab import TensorGuide, build_adapter
from ntklab.adapters.collapse import transplant
from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.experiments.training.variants import WIDTHS
from ntklab.records import Record
from paper_checks.tensorguide._accuracies import COLUMNS, accuracies_text, measured_accuracies
from paper_checks.tensorguide._training import Comparison, outcome_labels, recorded_verdict
from paper_checks.tensorguide.table1 import conv1_weights

CLAIM = Claim(
    id="table2",
    title="A wider hidden layer at almost equal parameters",
    words="With 4276, 4292 and 4356 parameters for widths 1024, 2048 and 4096, TensorGuide "
    "becomes more expressive and more accurate as its hidden layer widens.",
    assumptions=(
        "the shapes of the two larger widths are ours: they give the published counts, and are "
        "not the only ones that do",
        "the last TT-rank is 1 and the last mode divides the width, as released",
    ),
    source="arXiv 2506.16456, table 2",
)
SAMPLE = Sample("random heads; training record on quantum dots", quick=1)
PUBLISHED = {1024: 4276, 2048: 4292, 4096: 4356}
COMPARED = Comparison(
    record="pairs-table2",
    reference="tensorguide M=1024",
    wanted={f"tensorguide M={width}": "more" for width in WIDTHS[1:]},
    against="M = 1024",
    condition="'More accurate' would stand if both wider heads were, and fall if one were less so",
)


def head_of(width: int, activation: str, seed: int, ranks: Sequence[int] | None = None) -> Any:
    """TensorGuide of that width on 512 features and 2 outputs, as the library plans it."""
    return build_adapter(
        *("tensorguide", 512, 2),
        width=width,
        activation=activation,
        tt_ranks=ranks,
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
    )


@torch.no_grad()
def exchange(source: TensorGuide, target: TensorGuide) -> float:
    """Relative difference of outputs after `target` has been given the function of `source`."""
    transplant(source, target)
    generator = torch.Generator().manual_seed(17)
    shape = (64, source.in_features)
    features = torch.randn(*shape, generator=generator, dtype=torch.float64)
    wanted = source(features)
    return float((target(features) - wanted).norm() / wanted.norm())


def capacity(seeds: Sequence[int]) -> dict[str, Any]:
    """Heads of width 1024 and 2048 given each other's functions, and ranks of W1 as drawn."""
    both = []
    for activation in ("identity", "relu"):
        for seed in seeds:
            narrow, wide = (head_of(M, activation, seed + M) for M in (1024, 2048))
            both += [exchange(narrow, wide), exchange(head_of(2048, activation, seed), narrow)]
    values: dict[str, Any] = {"exchanges": len(both), "exchange_error": max(both)}
    values["exchange_seeds"] = len(seeds)
    for width in WIDTHS:
        head = head_of(width, "relu", 0)
        first = head.factors()[0].detach()
        values[f"rank_{width}"] = int(torch.linalg.matrix_rank(first))
        values[f"head_{width}"] = head.parameter_count
        values[f"directions_{width}"] = head.function_rank_bound(512)
    return values


def measure(effort: Effort) -> Measured:
    """Counts and capacity from the library's own heads; accuracies from the committed record."""
    counts = capacity(SAMPLE.seeds(effort))
    return collect(COMPARED.read(effort), counts, conv1_weights())


def collect(record: Record | None, counts: dict[str, Any], conv1: int) -> Measured:
    """Deciding numbers: counts, whether the classes of functions are one, paired differences."""
    matched = sum(counts[f"head_{width}"] + conv1 == count for width, count in PUBLISHED.items())
    values = counts | {"conv1": conv1, "counts_with_conv1": matched}
    return measured_accuracies(values, record, COMPARED, seeds=counts["exchange_seeds"])


def judge(measured: Measured) -> Finding:
    """FALSE if a doubled width is the same class of functions, or the counts do not come out."""
    v = measured.values
    if v["counts_with_conv1"] < len(PUBLISHED):
        return Finding(
            Verdict.FALSE,
            f"With conv1, {v['counts_with_conv1']} of {len(PUBLISHED)} published counts come out.",
        )
    data = accuracies_text(measured, COMPARED)
    if v["exchange_error"] < 1e-9:
        return Finding(
            Verdict.FALSE,
            f"Counts: exact with conv1. But width 2048 is no more expressive than 1024: in "
            f"{v['exchanges']} of {v['exchanges']} trials, linear and ReLU, a head of either width "
            f"took over the function of the other to {v['exchange_error']:.0e}; W1 has rank "
            f"{v['rank_1024']}, {v['rank_2048']} and {v['rank_4096']}. {data}",
            "The width enters through two C by C matrices alone, and rank W1 is the width over the "
            "last mode: only 4096, of the three, has more directions "
            f"({v['directions_1024']}, {v['directions_2048']}, {v['directions_4096']} with ReLU).",
            r"f = s\,[\sigma(\Phi U)\,V S^+ + \sigma(-\Phi U)\,V S^-],\quad "
            r"U\in\mathbb{R}^{d\times M/m_K}",
            brief="counts exact with conv1, but width 2048 is the same class of functions as 1024",
        )
    exact = (
        f"Counts: exact with conv1. A head of width 2048 could not take over the function of one "
        f"of 1024, or the reverse (error {v['exchange_error']:.1g}). "
    )
    return Finding(recorded_verdict(v), exact + data)


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        **{f"head_{width}": f"parameters of the head, M = {width}" for width in WIDTHS},
        "conv1": "weights of conv1",
        "counts_with_conv1": "published counts that come out with conv1, of 3",
        **{f"rank_{width}": f"rank of W1 as drawn, M = {width}" for width in WIDTHS},
        **{f"directions_{width}": f"independent directions, ReLU, M = {width}" for width in WIDTHS},
        "exchange_seeds": "starts of both widths, linear and ReLU",
        "exchanges": "functions handed from one width to the other",
        "exchange_error": "largest relative difference of outputs afterwards",
        **outcome_labels(said="wider is more accurate"),
    },
    columns=COLUMNS | {"effective_width": "effective width"},
    sample=SAMPLE,
)
