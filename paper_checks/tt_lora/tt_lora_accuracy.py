"""TT-LoRA (arXiv 2408.01008): as accurate as LoRA with many times fewer parameters?"""

from collections.abc import Mapping
from typing import Any

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Verdict
from ntklab.experiments.training.panel import OPTIMIZERS, PANEL, Panel
from paper_checks import _equivalences as pairs
from paper_checks import _panel as runs

CLAIM = Claim(
    id="tt_lora_accuracy",
    title="As accurate as LoRA with many times fewer parameters",
    words="TT-LoRA compresses many times more than LoRA without loss of accuracy on downstream "
    "tasks.",
    formula=r"P_{TT} \le P_{LoRA}/4:\quad \mathrm{acc}_{TT} > \mathrm{acc}_{LoRA} - 0.02",
    confidence="M",
    assumptions=(
        "the abstract names no factor and no margin: four times fewer parameters, two points",
        "its models and data sets are others; here one prompt task, rates by validation for both",
    ),
    source="arXiv 2408.01008, abstract",
)
SAMPLE = runs.sample("a prompt task: TT-LoRA and LoRA of the panel")
FEWER = 4
TRAINS, LORAS = ("tt-delta",), ("lora", "peft:lora")


def measure(effort: Effort) -> Measured:
    """TT-LoRA beside every LoRA with at least four times its parameters."""
    panel, values = runs.read(effort, PANEL)
    return collect(panel, values) if panel else runs.absent(values)


def collect(panel: Panel, values: Mapping[str, Any]) -> Measured:
    """One row a pair and optimizer."""
    rows = []
    for optimizer in OPTIMIZERS:
        tuned = panel.table(f"accuracy_{optimizer}")
        for name in _of(panel, TRAINS, tuned):
            for other in _of(panel, LORAS, tuned):
                few, many = (panel.first(each)["params"] for each in (name, other))
                if many >= FEWER * few:
                    row = pairs.compared(
                        name, other, tuned[name], tuned[other], optimizer=optimizer,
                        left_params=few, right_params=many,
                    )  # fmt: skip
                    rows += [row] if row else []
    own = {"variants": len(panel.variants)} | pairs.summarized(rows)
    own["most_fewer"] = max(
        (row["right_params"] / row["left_params"] for row in rows), default=None
    )
    return Measured({**values, **own}, rows, len(panel.seeds))


def judge(measured: Measured) -> Finding:
    """See `_equivalences.no_worse_verdict`."""
    v = measured.values
    text = f"{pairs.counts_text(v)} {pairs.extremes_text(measured.rows)} {runs.setting_text(v)}"
    if v["most_fewer"]:
        text = f"With up to {v['most_fewer']:.0f} times fewer parameters. {text}"
    verdict = pairs.no_worse_verdict(v)
    mended = ""
    if verdict is Verdict.REGIME:
        names = [f"{r['left']} ({r['optimizer']})" for r in measured.rows if r["shown_no_worse"]]
        mended = f"Shown for {', '.join(dict.fromkeys(names))} alone."
    return Finding(
        verdict, text, mended, brief=f"no worse in {v['no_worse']} of {v['pairs']} pairs"
    )


def _of(panel: Panel, methods: tuple[str, ...], tuned: Mapping[str, Any]) -> list[str]:
    return [name for name in tuned if panel.first(name).get("method") in methods]


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={**pairs.LABELS, "most_fewer": "most times fewer parameters", **runs.LABELS},
    columns=pairs.COLUMNS,
    sample=SAMPLE,
    records=(PANEL,),
)
