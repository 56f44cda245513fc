"""Two thresholds against each other: r(r+1)/2 > KN and r(m+n) − r² > C*·KN."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from paper_checks.lora_rank._constructed import padded, trapped
from paper_checks.lora_rank._landscape import Landscape, examine, squared
from paper_checks.lora_rank._search import (
    from_many_starts,
    gaussian_features,
    spurious,
)
from paper_checks.lora_rank.no_spurious import above

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="dimension_count",
    title="A count of dimensions as the threshold",
    words="The condition r(r+1)/2 > KN can be replaced by the weaker r(m+n) − r² > C*·KN, with "
    "C* about 1.35 under Gaussian features: the dimension of the matrices of rank r.",
    formula=r"r(m+n) - r^2 > C^\ast KN,\ C^\ast \approx 1.35 \;\Rightarrow\; \text{no spurious "
    r"minima (squared loss)}",
    confidence="M",
    assumptions=(
        "outputs linear in the update (kernel regime), squared loss",
        "features with independent Gaussian entries",
        "weight decay: not stated in the abstract; the paper that it answers has it",
    ),
    source="arXiv 2605.03724, abstract",
)
SAMPLE = Sample(
    "Gaussian features on both sides of both thresholds; padded integer features",
    quick=2,
    why="The statement is made for Gaussian features.",
)
#: The constant of the claim.
CONSTANT = 1.35
#: (r, m, n, KN), from the region that only the weaker condition covers to neither.
_SETTINGS = (
    (1, 6, 6, 4),
    (1, 6, 6, 8),
    (1, 6, 6, 11),
    (2, 6, 6, 2),
    (2, 6, 6, 10),
    (2, 6, 6, 20),
)
_LARGER = ((1, 10, 10, 6), (1, 10, 10, 14), (3, 6, 6, 5), (3, 6, 6, 15), (3, 6, 6, 27))
DECAYS = (0.0, 0.1)


def ratio(rank: int, m: int, n: int, count: int) -> float:
    """(r(m+n) − r²)/KN."""
    return (rank * (m + n) - rank**2) / count


def gaussian_row(
    setting: tuple[int, int, int, int], decay: float, seed: int, starts: int
) -> dict[str, Any]:
    """Whether two descents on one landscape ended at clearly different losses.

    Args:
        setting: r, m, n and KN.
        decay: λ.
        seed: of features, targets and starts.
        starts: descents.
    """
    rank, m, n, count = setting
    rng = np.random.default_rng(10_000 * count + 100 * m + seed)
    G = gaussian_features(count, m, n, rng)
    landscape = Landscape(G, squared(3 * rng.normal(size=count)), decay=decay)
    points = from_many_starts(landscape, rank, starts, rng)
    return _row("Gaussian", setting, decay, seed, bool(spurious(points)))


def padded_row(size: int, seed: int) -> dict[str, Any]:
    """The constructed point of rank 1 in a matrix of `size` × `size`."""
    landscape, Q = padded(*trapped(1), size)
    stands = examine(landscape, Q).is_spurious
    return _row("padded integers", (1, size, size, landscape.sizes[0]), 1.0, seed, stands)


def _row(
    name: str, setting: tuple[int, int, int, int], decay: float, seed: int, met: bool
) -> dict[str, Any]:
    rank, m, n, count = setting
    return {
        "features": name,
        "rank": rank,
        "shape": f"{m} × {n}",
        "KN": count,
        "decay": decay,
        "ratio": ratio(rank, m, n, count),
        "first_paper": above(rank, count),
        "second_paper": ratio(rank, m, n, count) > CONSTANT,
        "seed": seed,
        "spurious": met,
    }


def measure(effort: Effort) -> Measured:
    """All settings with and without decay, and the padded counterexample."""
    seeds = SAMPLE.seeds(effort)
    settings = (*_SETTINGS, *_LARGER) if effort.full else _SETTINGS
    starts = 6 if effort.full else 4
    rows = [
        gaussian_row(setting, decay, seed, starts)
        for setting in settings
        for decay in DECAYS
        for seed in seeds
    ]
    return collect([*rows, padded_row(40, 0)], len(seeds))


def collect(rows: Iterable[dict[str, Any]], seeds: int) -> Measured:
    """Landscapes with spurious points, by what each paper promises and by decay; rows a setting."""
    rows = list(rows)

    def share(promise: str, with_decay: bool, name: str = "Gaussian") -> tuple[int, int]:
        there = [
            row["spurious"]
            for row in rows
            if row["features"] == name and row[promise] and (row["decay"] > 0) == with_decay
        ]
        return sum(there), len(there)

    table: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(value for name, value in row.items() if name not in ("seed", "spurious"))
        entry = table.setdefault(key, {**row, "seed": 0, "spurious": 0})
        entry["seed"] += 1
        entry["spurious"] += int(row["spurious"])
    merged = [
        {("landscapes" if name == "seed" else name): value for name, value in row.items()}
        for row in table.values()
    ]
    values: dict[str, Any] = {}
    for promise in ("first_paper", "second_paper"):
        for word, with_decay in (("plain", False), ("decay", True)):
            met, count = share(promise, with_decay)
            values |= {f"{promise}_{word}": met, f"{promise}_{word}_of": count}
    met, count = share("second_paper", True, "padded integers")
    return Measured(values | {"padded": met, "padded_of": count}, merged, seeds)


def judge(measured: Measured) -> Finding:
    """OK if the weaker condition never fails; REGIME if only with decay or made features."""
    v = measured.values
    plain, decayed = v["second_paper_plain"], v["second_paper_decay"]
    numbers = (
        f"Above the weaker threshold, Gaussian features have spurious minima in {plain} of "
        f"{v['second_paper_plain_of']} landscapes without weight decay and in {decayed} of "
        f"{v['second_paper_decay_of']} with it; above r(r+1)/2 > KN in "
        f"{v['first_paper_plain']} of {v['first_paper_plain_of']} and {v['first_paper_decay']} "
        f"of {v['first_paper_decay_of']}."
    )
    if plain == decayed == v["padded"] == 0:
        return Finding(Verdict.OK, numbers)
    if plain:
        return Finding(Verdict.FALSE, numbers)
    made = (
        " Padding a matrix with zeros raises r(m+n) − r² without limit and keeps a spurious "
        "minimum, so some condition on the features is needed."
        if v["padded"]
        else ""
    )
    return Finding(
        Verdict.REGIME,
        numbers + made,
        "The count of dimensions speaks of interpolation: with λ = 0 and generic features every "
        "point of second order fits the data. It does not replace r(r+1)/2 > KN for the "
        "weight-decayed loss, about which the first paper speaks."
        if decayed
        else "The count of dimensions needs generic features.",
    )


def draw(measured: Measured) -> "Figure":
    """The share of landscapes with a spurious minimum along the ratio, with and without decay."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing

    with drawing(height_to_width=0.5):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        for decay, colour, marker in zip(DECAYS, ("#0072B2", "#D55E00"), "os", strict=True):
            rows = sorted(
                (r for r in measured.rows if r["features"] == "Gaussian" and r["decay"] == decay),
                key=lambda row: row["ratio"],
            )
            shares = [row["spurious"] / row["landscapes"] for row in rows]
            ratios = [row["ratio"] for row in rows]
            axes.plot(ratios, shares, marker, color=colour, label=f"λ = {decay:g}", alpha=0.8)
        axes.axvline(CONSTANT, color="#555555", linestyle="--", label="1.35")
        axes.set_xscale("log", base=2)
        axes.set_xlabel("(r(m+n) − r²) / KN")
        axes.set_ylabel("landscapes with a spurious minimum")
        axes.legend()
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "second_paper_plain_of": "landscapes above the weaker threshold, no decay",
        "second_paper_plain": "of them with a spurious minimum",
        "second_paper_decay_of": "landscapes above the weaker threshold, with decay",
        "second_paper_decay": "of them with a spurious minimum",
        "first_paper_plain_of": "landscapes above r(r+1)/2 > KN, no decay",
        "first_paper_plain": "of them with a spurious minimum",
        "first_paper_decay_of": "landscapes above r(r+1)/2 > KN, with decay",
        "first_paper_decay": "of them with a spurious minimum",
        "padded_of": "padded landscapes above the weaker threshold",
        "padded": "of them with a spurious minimum",
    },
    columns={
        **{"features": "features", "rank": "r", "shape": "m × n", "KN": "KN", "decay": "λ"},
        **{"ratio": "(r(m+n) − r²)/KN", "first_paper": "r(r+1)/2 > KN"},
        **{"second_paper": "ratio > 1.35", "landscapes": "landscapes"},
        "spurious": "with a spurious minimum",
    },
    draw=draw,
    caption="Share of Gaussian landscapes with a spurious minimum over the ratio of dimensions to "
    "equations: without weight decay they end near ratio one, with it they do not.",
    sample=SAMPLE,
)
