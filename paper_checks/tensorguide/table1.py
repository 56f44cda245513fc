"""Table 1: parameters and accuracies of LoRA, TT-LoRA and TensorGuide on quantum dots."""

from collections.abc import Mapping, Sequence
from typing import Any

from ntklab import build_adapter
from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.records import Record
from ntklab.tasks.backbones import resnet18
from paper_checks.tensorguide._accuracies import (
    COLUMNS,
    accuracies_outcome,
    accuracies_text,
    measured_accuracies,
)
from paper_checks.tensorguide._training import (
    Comparison,
    outcome_labels,
    recorded_verdict,
)

CLAIM = Claim(
    id="table1",
    title="The three methods on quantum dots",
    words="TensorGuide is the most accurate of the three methods with the fewest parameters: "
    "4276 against 5192 (LoRA) and 4900 (TT-LoRA).",
    assumptions=(
        "the counts hold only with the 3136 weights of conv1, in a backbone said to be frozen",
        "the scripts give every method its own batch, rate and schedule (settings 'released'); "
        "'matched' gives all of them the same",
        "the paper's accuracies did not reach us, so the order of the methods is what is checked",
    ),
    source="arXiv 2506.16456, table 1",
)
SAMPLE = Sample("quantum dots", by="record")
PUBLISHED = {"lora": 5192, "tt-lora": 4900, "tensorguide": 4276}
COMPARED = Comparison(
    record="pairs-table1",
    reference="tensorguide",
    wanted={"lora": "less", "tt-lora": "less"},
    against="TensorGuide",
    condition="It would stand if both others were less accurate, and fall if one were more",
)


def counts() -> dict[str, int]:
    """Trained numbers of each head at the released sizes: 512 features, 2 outputs."""
    return {name: build_adapter(name, 512, 2).parameter_count for name in PUBLISHED}


def conv1_weights() -> int:
    """Of the first convolution of a ResNet-18 for one channel."""
    return int(resnet18().conv1.weight.numel())


def measure(effort: Effort) -> Measured:
    """Counts from the library's own heads; accuracies from the committed record."""
    return collect(
        COMPARED.read(effort),
        counts(),
        conv1_weights(),
        effort.record("released-end-to-end"),
    )


def collect(
    record: Record | None, heads: dict[str, int], conv1: int, through: Record | None = None
) -> Measured:
    """Counts against the published ones, and paired differences against TensorGuide."""
    values: dict[str, Any] = {f"head_{name}": count for name, count in heads.items()}
    values |= {
        "conv1": conv1,
        "counts_with_conv1": sum(heads[n] + conv1 == PUBLISHED[n] for n in PUBLISHED),
        "counts_without": sum(heads[n] == PUBLISHED[n] for n in PUBLISHED),
        "fewest": heads[COMPARED.reference] == min(heads.values()),
        "end_to_end_runs": 0 if through is None else len(through.results),
        "end_to_end_scale": None if through is None else _scale(through),
    }
    accuracies = measured_accuracies(values, record, COMPARED)
    return Measured(
        {**accuracies.values, "baseline_says": _baseline(accuracies.rows)}, accuracies.rows
    )


def judge(measured: Measured) -> Finding:
    """FALSE if the counts do not come out; else what the paired differences say."""
    v = measured.values
    heads = ", ".join(f"{n} {v[f'head_{n}']}" for n in PUBLISHED)
    if max(v["counts_with_conv1"], v["counts_without"]) < len(PUBLISHED) or not v["fewest"]:
        return Finding(
            Verdict.FALSE,
            f"The heads have {heads} parameters: with the {v['conv1']} of conv1 that is the "
            f"published count for {v['counts_with_conv1']} of {len(PUBLISHED)} methods.",
        )
    how = "with the" if v["counts_with_conv1"] == len(PUBLISHED) else "without the"
    exact = (
        f"Counts: exact {how} {v['conv1']} weights of conv1 (heads alone: {heads}); TensorGuide "
        "has the fewest."
    )
    return Finding(
        recorded_verdict(v),
        f"{exact} {accuracies_text(measured, COMPARED, after=v['baseline_says'])}",
        brief=f"counts exact {how} conv1, most accurate: {accuracies_outcome(v)}",
    )


def _baseline(rows: Sequence[Mapping[str, Any]]) -> str:
    """The linear probe, with fewer numbers than any adapter trains."""
    words = [f"{r['says']} ({r['settings']})" for r in rows if r["variant"] == "linear-probe"]
    if not words:
        return ""
    return f"A linear probe of 1024 numbers against TensorGuide: {', '.join(words)}."


def _scale(record: Record) -> str | None:
    scales = {str(row.get("scale_of_run")) for row in record.results}
    return "; ".join(sorted(scales)) or None


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "head_lora": "parameters of the head, LoRA",
        "head_tt-lora": "TT-LoRA",
        "head_tensorguide": "TensorGuide",
        "conv1": "weights of conv1",
        "counts_with_conv1": "published counts that come out with conv1, of 3",
        "counts_without": "without it",
        **outcome_labels(),
        "end_to_end_runs": "released runs through the backbone, conv1 trained",
        "end_to_end_scale": "their size",
    },
    columns=COLUMNS,
    sample=SAMPLE,
    records=(COMPARED.record,),
)
