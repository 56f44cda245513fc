"""TT-LoRA (arXiv 2408.01008): does accuracy depend on the shape and rank of the train?"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Verdict
from ntklab.experiments.training.panel import OPTIMIZERS, SHAPES, Panel
from ntklab.statistics import SIGNIFICANT, friedman, holm
from paper_checks import _equivalences as pairs
from paper_checks import _panel as runs

CLAIM = Claim(
    id="tt_lora_shapes",
    title="Accuracy depends on the train's shape and rank",
    words="The accuracy of TT-LoRA is sensitive to the shape and the rank of the tensor train, so "
    "that they must be searched for.",
    formula="",
    confidence="M",
    assumptions=(
        "the abstract reports an exhaustive search of both; that accuracy depends on them is this "
        "project's reading of its open question",
        "shapes and ranks of the record alone; one rate a setting, chosen by validation",
    ),
    source="arXiv 2408.01008, abstract",
)
SAMPLE = runs.sample("a prompt task: TT-LoRA of several shapes and ranks")


def measure(effort: Effort) -> Measured:
    """Friedman's test over settings, and every pair of settings."""
    panel, values = runs.read(effort, SHAPES)
    return collect(panel, values) if panel else runs.absent(values)


def collect(panel: Panel, values: Mapping[str, Any]) -> Measured:
    """One row a pair of settings and optimizer."""
    trains = panel.only(lambda row: row.get("method") == "tt-delta")
    rows: list[dict[str, Any]] = []
    tests: dict[str, float] = {}
    spans: dict[str, float] = {}
    for optimizer in OPTIMIZERS:
        tuned = trains.table(f"accuracy_{optimizer}")
        if len(tuned) < 3:
            continue
        tests[optimizer] = friedman(tuned)
        means = [sum(by_seed.values()) / len(by_seed) for by_seed in tuned.values()]
        spans[optimizer] = max(means) - min(means)
        for one, other in combinations(tuned, 2):
            row = pairs.compared(
                one, other, tuned[one], tuned[other], optimizer=optimizer,
                left_params=trains.first(one).get("params"),
                right_params=trains.first(other).get("params"),
            )  # fmt: skip
            rows += [row] if row else []
    corrected = dict(zip(tests, holm(list(tests.values())), strict=True))
    own: dict[str, Any] = {"variants": len(trains.variants), "settings": len(trains.variants)}
    own |= {f"p_{name}": corrected.get(name) for name in OPTIMIZERS}
    own |= {f"span_{name}": spans.get(name) for name in OPTIMIZERS}
    return Measured({**values, **own, **pairs.summarized(rows)}, rows, len(panel.seeds))


def judge(measured: Measured) -> Finding:
    """OK if settings differ by more than the margin, FALSE if all pairs are the same within it."""
    v = measured.values
    known = [name for name in OPTIMIZERS if v[f"p_{name}"] is not None]
    differ = [
        name for name in known if v[f"p_{name}"] < SIGNIFICANT and v[f"span_{name}"] > runs.MARGIN
    ]
    text = (
        " ".join(
            f"{name}: {v['settings']} settings span {100 * v[f'span_{name}']:.1f} points "
            f"(Friedman, Holm, p = {v[f'p_{name}']:.2g})."
            for name in known
        )
        + f" {pairs.counts_text(v)} {pairs.extremes_text(measured.rows)} {runs.setting_text(v)}"
    )
    brief = "; ".join(f"{name}: {100 * v[f'span_{name}']:.1f} points" for name in known)
    if not runs.enough(v):
        return Finding(Verdict.DATA, text, brief=brief or "too few")
    if known and len(differ) == len(known):
        return Finding(Verdict.OK, text, brief=brief)
    if differ:
        only = ", ".join(differ)
        return Finding(Verdict.REGIME, text, f"It depends on them with {only} alone.", brief=brief)
    all_same = v["pairs"] and v["same"] == v["pairs"]
    return Finding(Verdict.FALSE if all_same else Verdict.DATA, text, brief=brief or "too few")


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "settings": "shapes and ranks",
        **{f"p_{name}": f"Friedman's p (Holm), {name}" for name in OPTIMIZERS},
        **{f"span_{name}": f"span of mean accuracies, {name}" for name in OPTIMIZERS},
        **pairs.LABELS,
        **runs.LABELS,
    },
    columns=pairs.COLUMNS,
    sample=SAMPLE,
    records=(SHAPES,),
)
