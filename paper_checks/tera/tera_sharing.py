"""TeRA (arXiv 2509.03234): what sharing the frozen factors between layers costs."""

from collections.abc import Mapping
from typing import Any

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Verdict
from ntklab.experiments.training.panel import OPTIMIZERS, SHARING, Panel
from paper_checks import _equivalences as pairs
from paper_checks import _panel as runs

CLAIM = Claim(
    id="tera_sharing",
    title="Sharing the frozen factors costs nothing",
    words="The large random factors can be shared by all layers without loss of accuracy.",
    formula=r"\mathrm{acc}_{\text{shared}} > \mathrm{acc}_{\text{own}} - 0.02",
    confidence="L",
    assumptions=(
        "the abstract says that they are shared; that it costs nothing is implied, not stated",
        "shared and own factors are drawn alike, at the same sizes and seeds",
    ),
    source="arXiv 2509.03234, abstract",
)
SAMPLE = runs.sample("a prompt task: TeRA with shared and with own factors")


def measure(effort: Effort) -> Measured:
    """Shared minus own factors, at equal sizes."""
    panel, values = runs.read(effort, SHARING)
    return collect(panel, values) if panel else runs.absent(values)


def collect(panel: Panel, values: Mapping[str, Any]) -> Measured:
    """One row a size and optimizer: the same parameters, shared and not."""
    rows = []
    for optimizer in OPTIMIZERS:
        tuned = panel.table(f"accuracy_{optimizer}")
        first = {name: panel.first(name) for name in tuned}
        for name in (n for n in tuned if first[n].get("shared") is True):
            for other in (n for n in tuned if first[n].get("shared") is False):
                if first[name]["params"] == first[other]["params"]:
                    row = pairs.compared(
                        name, other, tuned[name], tuned[other], optimizer=optimizer,
                        left_params=first[name]["params"], right_params=first[other]["params"],
                    )  # fmt: skip
                    rows += [row] if row else []
    own = {"variants": len(panel.variants)} | pairs.summarized(rows)
    return Measured({**values, **own}, rows, len(panel.seeds))


def judge(measured: Measured) -> Finding:
    """See `_equivalences.no_worse_verdict`."""
    v = measured.values
    text = f"{pairs.counts_text(v)} {pairs.extremes_text(measured.rows)} {runs.setting_text(v)}"
    verdict = pairs.no_worse_verdict(v)
    mended = ""
    if verdict is Verdict.REGIME:
        mended = f"It costs accuracy for {pairs.listed(measured.rows, 'below')}."
    return Finding(
        verdict, text, mended, brief=f"no worse in {v['no_worse']} of {v['pairs']} pairs"
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={**pairs.LABELS, **runs.LABELS},
    columns=pairs.COLUMNS,
    sample=SAMPLE,
    records=(SHARING,),
)
