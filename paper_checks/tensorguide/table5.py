"""Table 5: the TT-ranks of TensorGuide."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import scipy.stats
import torch

from ntklab import TensorGuide, build_adapter, jacobian, spectrum
from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.experiments.training.variants import IN_DIMS, OUT_DIMS, RANKS
from ntklab.records import Record
from ntklab.statistics import SIGNIFICANT, by_seed
from paper_checks.tensorguide._accuracies import (
    COLUMNS,
    accuracies_outcome,
    accuracies_text,
    measured_accuracies,
)
from paper_checks.tensorguide._training import (
    FALLS,
    OPEN,
    STANDS,
    Comparison,
    outcome_labels,
    outcome_values,
    outcomes_in,
    recorded_verdict,
)
from paper_checks.tensorguide.table1 import conv1_weights

CLAIM = Claim(
    id="table5",
    title="Larger TT-ranks",
    words="At width 1024 the number of parameters grows with the TT-ranks as the formula says "
    "(and 3136 of conv1 beside it), and larger TT-ranks make TensorGuide more accurate.",
    formula=r"P = 16 r_1 + 16 r_1 r_2 + 514 r_2 r_3 + 16 r_3",
    assumptions=(
        "modes 16, 8, 257, 16 over a latent of 1, 2, 2, 1, as released",
        "which TT-ranks the table lists did not reach us: those here grow one bond at a time",
    ),
    source="arXiv 2506.16456, table 5",
)
SAMPLE = Sample("random heads on Gaussian features; training record on quantum dots")
Ranks = tuple[int, int, int]
REFERENCE: Ranks = (2, 2, 1)


def variant_of(ranks: Ranks) -> str:
    """The name of the record's variant."""
    return f"tensorguide M=1024 ranks={','.join(map(str, (1, *ranks, 1)))}"


def wanted(ranks: Iterable[Ranks]) -> dict[str, str]:
    """The claim on each variant against the reference."""
    return {
        variant_of(one): "more" if sum(one) > sum(REFERENCE) else "less"
        for one in ranks
        if one != REFERENCE
    }


COMPARED = Comparison(
    record="pairs-table5",
    reference=variant_of(REFERENCE),
    wanted=wanted(RANKS),
    against="ranks 1,2,2,1,1",
    condition="It would stand with a rise that no comparison contradicts, and fall with the "
    "reverse",
)


def formula(ranks: Ranks) -> int:
    """The claim's count of the head."""
    first, second, third = ranks
    return 16 * first + 16 * first * second + 514 * second * third + 16 * third


def sizes(ranks: Ranks, seeds: Sequence[int]) -> dict[str, Any]:
    """Count, rank of W1 and λ_min/mean of the kernel on 48 Gaussian samples, of drawn heads."""
    ratios = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        head = build_adapter(
            *("tensorguide", 512, 2),
            width=1024,
            in_dims=IN_DIMS,
            out_dims=OUT_DIMS,
            tt_ranks=(1, *ranks, 1),
            activation="identity",
            generator=generator,
            dtype=torch.float64,
        )
        assert isinstance(head, TensorGuide)
        features = torch.randn(48, 512, generator=generator, dtype=torch.float64)
        kernel = spectrum(jacobian(head, features))
        ratios.append(kernel.lambda_min / kernel.mean)
        first = head.factors()[0].detach()
    return {
        "count": head.parameter_count,
        "rank_w1": int(torch.linalg.matrix_rank(first)),
        "over_mean": median(ratios),
        "starts": len(ratios),
    }


def measure(effort: Effort) -> Measured:
    """Counts and kernels of the library's own heads; accuracies from the committed record."""
    by_ranks = {ranks: sizes(ranks, SAMPLE.seeds(effort)) for ranks in RANKS}
    return collect(COMPARED.read(effort), by_ranks, conv1_weights())


def collect(
    record: Record | None, by_ranks: Mapping[Ranks, Mapping[str, Any]], conv1: int
) -> Measured:
    """The deciding numbers: counts by the formula, a trend over the ranks, paired differences."""
    by_name = {variant_of(ranks): one for ranks, one in by_ranks.items()}
    own = by_ranks[REFERENCE]
    starts = min(one["starts"] for one in by_ranks.values())
    values: dict[str, Any] = {
        "conv1": conv1,
        "by_formula": sum(one["count"] == formula(ranks) for ranks, one in by_ranks.items()),
        "shapes": len(by_ranks),
        "gain_from_third": by_ranks[2, 2, 2]["over_mean"] / own["over_mean"],
        "gain_from_first": by_ranks[4, 2, 1]["over_mean"] / own["over_mean"],
        "rank_w1": own["rank_w1"],
        "rank_w1_third": by_ranks[2, 2, 2]["rank_w1"],
    }
    paired = measured_accuracies(values, record, COMPARED)
    if record is None:
        plain = [{"variant": name, "params": one["count"], **one} for name, one in by_name.items()]
        return Measured(paired.values, plain, starts)
    values = dict(paired.values)
    above = [ranks for ranks in by_ranks if ranks != min(by_ranks, key=formula)]
    for settings, word in outcomes_in(paired.values).items():
        rising, falling = trend(record, settings, by_ranks)
        values[f"rising_p_above_{settings}"] = trend(record, settings, above)[0]
        values |= {f"rising_p_{settings}": rising, f"falling_p_{settings}": falling}
        values |= outcome_values({settings: combined(word, rising, falling)})
    rows = [{**row, **by_name.get(row["variant"], {})} for row in paired.rows]
    return Measured(values, rows, starts)


def trend(record: Record, settings: str, ranks: Iterable[Ranks]) -> tuple[float, float]:
    """Page's test that accuracy rises (or falls) with the parameters: one p each."""
    names = [variant_of(one) for one in sorted(ranks, key=formula)]
    series = [
        by_seed(record.results, "test_accuracy", settings=settings, variant=name) for name in names
    ]
    series = [values for values in series if values]
    shared = sorted(set.intersection(*(set(values) for values in series)))
    if len(series) < 3 or len(shared) < 2:
        return 1.0, 1.0
    table = [[values[seed] for values in series] for seed in shared]
    rising = scipy.stats.page_trend_test(table).pvalue
    falling = scipy.stats.page_trend_test([row[::-1] for row in table]).pvalue
    return float(rising), float(falling)


def combined(paired: str, rising: float, falling: float) -> str:
    """Stands with a rising trend that no comparison contradicts; falls with the reverse."""
    if paired == FALLS or falling < SIGNIFICANT:
        return FALLS
    return STANDS if rising < SIGNIFICANT or paired == STANDS else OPEN


def judge(measured: Measured) -> Finding:
    """FALSE if the counts do not follow the formula; else what trend and differences say."""
    v = measured.values
    if v["by_formula"] < v["shapes"]:
        return Finding(
            Verdict.FALSE,
            f"The formula gives the library's count for {v['by_formula']} of {v['shapes']} "
            "TT-ranks.",
        )
    exact = (
        f"Counts: exact by the formula for all {v['shapes']}. r₃ = 2 lifts rank W1 from "
        f"{v['rank_w1']} to {v['rank_w1_third']} and λ_min over its mean by a factor of "
        f"{v['gain_from_third']:.2g} (r₁ = 4: {v['gain_from_first']:.2g}; medians over starts)."
    )
    outcomes = outcomes_in(v)
    trends = ", ".join(f"{v[f'rising_p_{s}']:.2g} ({s})" for s in outcomes)
    above = ", ".join(f"{v[f'rising_p_above_{s}']:.2g} ({s})" for s in outcomes)
    page = (
        f"Page's test for a rise with P over {v.get('recorded_seeds')} seeds has p = {trends}, and "
        f"without the smallest ranks {above}."
    )
    return Finding(
        recorded_verdict(v),
        f"{exact} {accuracies_text(measured, COMPARED, before=page)}",
        brief=f"counts exact by the formula, more accurate with rank: {accuracies_outcome(v)}"
        + _owed_to_the_smallest(v, outcomes),
    )


def _owed_to_the_smallest(v: Mapping[str, Any], outcomes: Mapping[str, str]) -> str:
    """A rise that goes with the smallest ranks says nothing of the others: where it does."""
    lost = [
        settings
        for settings in outcomes
        if v[f"rising_p_{settings}"] < SIGNIFICANT <= v[f"rising_p_above_{settings}"]
    ]
    return f"; without the smallest ranks no rise is seen ({', '.join(lost)})" if lost else ""


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "by_formula": "TT-ranks whose count follows the formula",
        "shapes": "TT-ranks counted",
        "conv1": "weights of conv1 beside each",
        "rank_w1": "rank of W1 as drawn, ranks 2, 2, 1",
        "rank_w1_third": "the same, ranks 2, 2, 2",
        "gain_from_third": "λ_min/mean of ranks 2, 2, 2 over that of 2, 2, 1",
        "gain_from_first": "λ_min/mean of ranks 4, 2, 1 over that of 2, 2, 1",
        **outcome_labels(
            {
                "rising_p_matched": "matched settings: Page's p for a rise with P",
                "rising_p_released": "released settings: Page's p for a rise with P",
                "rising_p_above_matched": "matched settings: the same without the smallest ranks",
                "rising_p_above_released": "released settings: the same without the smallest ranks",
                "falling_p_matched": "matched settings: Page's p for a fall",
                "falling_p_released": "released settings: Page's p for a fall",
            }
        ),
    },
    columns=COLUMNS | {"rank_w1": "rank W1", "over_mean": "λ_min/mean, 48 samples"},
    sample=SAMPLE,
    records=(COMPARED.record,),
)
