"""C* ≈ 1.35: at which ratio of dimensions to equations spurious minima end, without decay."""

from collections.abc import Iterable
from typing import Any

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from paper_checks.lora_rank.dimension_count import gaussian_row

CLAIM = Claim(
    id="critical_constant",
    title="The constant C*",
    words="Under Gaussian features the count of dimensions must exceed the number of equations "
    "by a factor C* of about 1.35.",
    formula=r"C^\ast \approx 1.35",
    confidence="M",
    assumptions=(
        "squared loss without weight decay: with decay spurious minima remain at any ratio",
        "the abstract gives the constant without its derivation",
    ),
    source="arXiv 2605.03724, abstract",
)
SAMPLE = Sample(
    "Gaussian features, Gaussian targets",
    quick=2,
    why="The constant is claimed for Gaussian features.",
)
#: (r, m, n) and the numbers of equations around the count of dimensions r(m+n) − r².
_SHAPES = ((1, 6, 6), (2, 6, 6), (1, 12, 4))
_RATIOS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.6)


def measure(effort: Effort) -> Measured:
    """The share of landscapes with spurious minima along the ratio."""
    shapes = (*_SHAPES, (3, 8, 8)) if effort.full else _SHAPES[:2]
    rows = []
    for rank, m, n in shapes:
        dimension = rank * (m + n) - rank**2
        counts = dict.fromkeys(round(dimension / wanted) for wanted in _RATIOS)
        for count in counts:
            for seed in SAMPLE.seeds(effort):
                setting = (rank, m, n, count)
                rows.append(gaussian_row(setting, 0.0, seed, 6 if effort.full else 4))
    return collect(rows, len(SAMPLE.seeds(effort)))


def collect(rows: Iterable[dict[str, Any]], seeds: int) -> Measured:
    """Per shape the largest ratio at which a spurious minimum was met."""
    table: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = (row["rank"], row["shape"], row["KN"])
        entry = table.setdefault(
            key,
            {
                **{name: row[name] for name in ("rank", "shape", "KN", "ratio")},
                **{"landscapes": 0, "spurious": 0},
            },
        )
        entry["landscapes"] += 1
        entry["spurious"] += int(row["spurious"])
    merged = list(table.values())
    met = [row["ratio"] for row in merged if row["spurious"]]
    free = [row["ratio"] for row in merged if not row["spurious"]]
    common = [row["ratio"] for row in merged if 2 * row["spurious"] > row["landscapes"]]
    return Measured(
        {
            "largest_with": max(met, default=None),
            "largest_common": max(common, default=None),
            "smallest_without": min(free, default=None),
            "largest_tried": max(row["ratio"] for row in merged),
            "smallest_tried": min(row["ratio"] for row in merged),
        },
        merged,
        seeds,
    )


def judge(measured: Measured) -> Finding:
    """OK if spurious minima reach up to 1.2 to 1.5; MEND if they end below; FALSE beyond."""
    v = measured.values
    largest = v["largest_with"]
    if largest is None:
        return Finding(
            Verdict.FALSE,
            f"No spurious minimum was met at any ratio from {v['smallest_tried']:.2f} to "
            f"{v['largest_tried']:.2f}: no constant shows.",
        )
    seen = (
        f"Without decay the largest ratio with a spurious minimum is {largest:.2f}; more than half "
        f"of the landscapes have one up to "
        + ("no ratio" if v["largest_common"] is None else f"{v['largest_common']:.2f}")
        + ". "
    )
    if largest > 1.5:
        return Finding(Verdict.FALSE, seen + "So 1.35 does not suffice.")
    if largest >= 1.2:
        return Finding(Verdict.OK, seen + "A constant near 1.35 fits that.")
    return Finding(
        Verdict.MEND,
        seen + "So 1.35 suffices and is not the place where they end.",
        f"For these sizes a ratio above {largest:.2f} was enough: about one dimension an equation.",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "largest_with": "largest ratio with a spurious minimum",
        "largest_common": "largest ratio at which most landscapes have one",
        "smallest_without": "smallest ratio without any",
        "smallest_tried": "smallest ratio tried",
        "largest_tried": "largest ratio tried",
    },
    columns={
        **{"rank": "r", "shape": "m × n", "KN": "KN", "ratio": "(r(m+n) − r²)/KN"},
        **{"landscapes": "landscapes", "spurious": "with a spurious minimum"},
    },
    sample=SAMPLE,
)
