"""TeRA (arXiv 2509.03234): as accurate as high-rank adapters at the count of vector-based ones?"""

from collections.abc import Mapping
from typing import Any

from ntklab.claims import Check, Claim, Effort, Finding, Measured, Verdict
from ntklab.experiments.training.panel import OPTIMIZERS, PANEL, Panel
from paper_checks import _equivalences as pairs
from paper_checks import _panel as runs

CLAIM = Claim(
    id="tera_accuracy",
    title="Matches high-rank adapters at vector-level counts",
    words="TeRA matches or outperforms high-rank adapters while training about as few parameters "
    "as vector-based methods.",
    formula=r"\mathrm{acc}_{TeRA} > \mathrm{acc}_{\text{high rank}} - 0.02",
    confidence="M",
    assumptions=(
        "matches is read as no worse by two points, to be shown by a paired test",
        "about as few parameters is read as at least half of what the vector-based methods train: "
        "with fewer, TeRA can support the claim and not refute it",
        "which adapters are of high rank is this project's list: methods whose change of a layer "
        "of 576 x 192 has a rank above 32, four times the panel's largest LoRA, at the sizes that "
        "the panel gives them",
        "its models and data sets are others; here one prompt task, rates by validation for all",
    ),
    source="arXiv 2509.03234, abstract",
)
SAMPLE = runs.sample("a prompt task: TeRA and the high-rank methods of the panel")
#: A test takes the ranks after a random step. Scalings (ia3, road) are vectors, whatever theirs.
HIGH_RANK = (
    "full",
    *(f"peft:{n}" for n in ("fourierft", "hira", "lokr", "oft", "shira", "waveft")),
)
#: At vector-level counts: at least this share of what the largest vector-based method trains.
COMPARABLE = 0.5
VECTORS = tuple(f"peft:{name}" for name in ("ia3", "ln-tuning", "vblora", "vera"))


def measure(effort: Effort) -> Measured:
    """TeRA beside every high-rank method of the panel."""
    panel, values = runs.read(effort, PANEL)
    return collect(panel, values) if panel else runs.absent(values)


def collect(panel: Panel, values: Mapping[str, Any]) -> Measured:
    """One row a pair and optimizer, and the count beside that of vector-based methods."""
    rows = []
    methods = {name: panel.first(name).get("method") for name in panel.variants}
    counts = {name: panel.first(name)["params"] for name in panel.variants}
    for optimizer in OPTIMIZERS:
        tuned = panel.table(f"accuracy_{optimizer}")
        for name in (n for n in tuned if methods[n] == "tera"):
            for other in (n for n in tuned if methods[n] in HIGH_RANK):
                row = pairs.compared(
                    name, other, tuned[name], tuned[other], optimizer=optimizer,
                    left_params=counts[name], right_params=counts[other],
                )  # fmt: skip
                rows += [row] if row else []
    own = {"variants": len(panel.variants)} | pairs.summarized(rows)
    own |= {
        "tera_params": max((counts[n] for n in counts if methods[n] == "tera"), default=None),
        "vector_params": max((counts[n] for n in counts if methods[n] in VECTORS), default=None),
    }
    own["refuting"] = sum(
        row["outcome"] == "below" and _comparable(row["left_params"], own["vector_params"])
        for row in rows
    )
    return Measured({**values, **own}, rows, len(panel.seeds))


def judge(measured: Measured) -> Finding:
    """See `_equivalences.no_worse_verdict`; DATA where TeRA is worse at far lower counts.

    The claim is of counts like those of vector-based methods: to be worse with a tenth of them
    says nothing against it.
    """
    v = measured.values
    text = (
        f"TeRA trains at most {_count(v['tera_params'])} parameters, the vector-based methods of "
        f"the panel at most {_count(v['vector_params'])}. {pairs.counts_text(v)} "
        f"{pairs.extremes_text(measured.rows)} {runs.setting_text(v)}"
    )
    verdict = pairs.no_worse_verdict(v)
    mended = ""
    if verdict in (Verdict.FALSE, Verdict.REGIME) and not v["refuting"]:
        verdict = Verdict.DATA
        text += (
            " Where TeRA is worse, it trains far fewer parameters than the vector-based methods; "
            "only a size that trains at least half of theirs could refute the claim."
        )
    if verdict is Verdict.REGIME:
        names = [
            f"{r['right']} ({r['optimizer']})" for r in measured.rows if r["outcome"] == "below"
        ]
        mended = f"It is worse than {', '.join(dict.fromkeys(names))}."
    return Finding(
        verdict, text, mended, brief=f"no worse in {v['no_worse']} of {v['pairs']} pairs"
    )


def _comparable(own: int, vectors: int | None) -> bool:
    return vectors is not None and own >= COMPARABLE * vectors


def _count(params: int | None) -> str:
    return "(not measured yet)" if params is None else f"{params:,}"


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        **pairs.LABELS,
        "tera_params": "parameters of TeRA, most",
        "vector_params": "parameters of vector-based methods, most",
        "refuting": "worse at a comparable number of parameters",
        **runs.LABELS,
    },
    columns=pairs.COLUMNS,
    sample=SAMPLE,
    records=(PANEL,),
)
