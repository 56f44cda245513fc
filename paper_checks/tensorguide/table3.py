"""Table 3: the head of GPT-2, perplexity on WikiText-2."""

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ntklab import LoRA, TensorGuide, build_adapter
from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.experiments.training.evidence import baseline_sentence, pairs_sentence
from ntklab.experiments.training.table import smaller_and_larger, training_table
from ntklab.records import Record
from ntklab.training.vocabulary_head import VocabularyHead
from paper_checks.tensorguide._training import ABSENT, NO_GPU

CLAIM = Claim(
    id="table3",
    title="The last layer of GPT-2",
    words="On GPT-2's map from 768 features to 50257 words, TensorGuide reaches lower perplexity "
    "than LoRA with far fewer parameters; LoRA of rank 1 has 51025.",
    formula=r"D = 51025\,M,\quad 51025 = 768 + 50257 = 5^2\cdot 13\cdot 157",
    confidence="M",
    assumptions=(
        "the adapter is added to the frozen projection, which the method section does not say: in "
        "its place, all logits would have rank M at most",
        "the paper's shapes, ranks and perplexities did not reach us",
    ),
    source="arXiv 2506.16456, table 3",
)
SAMPLE = Sample("random language models; training record on WikiText-2", quick=1)
FEATURES, WORDS = 768, 50257
PUBLISHED_LORA = 51025
WIDTHS = (1, 2, 3, 4)


def shapes() -> list[dict[str, Any]]:
    """Both heads at every width: counts, and whether the plan fills W1 and W2 exactly."""
    rows = []
    for width in WIDTHS:
        guide = build_adapter("tensorguide", FEATURES, WORDS, width=width)
        assert isinstance(guide, TensorGuide)
        rows.append(
            {
                **{"variant": f"M = {width}", "params": guide.parameter_count},
                **{"shape": str(guide.shape), "weights": guide.shape.out_size},
                "fits": guide.shape.out_size == PUBLISHED_LORA * width,
                "lora_params": LoRA(FEATURES, WORDS, width).parameter_count,
            }
        )
    return rows


def bottlenecks(width: int, seeds: Sequence[int]) -> dict[str, Any]:
    """`bottleneck` over seeds: the largest rank in place, the least added, the least loss of it."""
    ranks = [bottleneck(width, seed) for seed in seeds]
    return {
        "rank_replaced": max(one["rank_replaced"] for one in ranks),
        "rank_added": min(one["rank_added"] for one in ranks),
        "start_added": max(one["start_added"] for one in ranks),
        "replaced": min(one["replaced"] for one in ranks),
        "models": len(ranks),
    }


def bottleneck(width: int, seed: int = 0) -> dict[str, Any]:
    """Replace against add on a random language model of 24 features and 120 words.

    The texts are the model's own: labels are its own probabilities, so that its perplexity is
    e^entropy and nothing can go below. `replaced` is the least that any head of rank `width`
    reached by L-BFGS from the best truncation of the projection.
    """
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(300, 24, generator=generator, dtype=torch.float64)
    weight = torch.randn(120, 24, generator=generator, dtype=torch.float64) / 2
    logits = features @ weight.T
    likely = logits.softmax(1)
    entropy = float(cross_entropy(logits, likely))
    base = torch.nn.Linear(24, 120, bias=False, dtype=torch.float64)
    base.weight.data.copy_(weight)
    sizes: dict[str, Any] = {"width": width, "activation": "identity", "dtype": torch.float64}
    ranks, perplexities = {}, {}
    for name, under in (("replace", None), ("add", base)):
        head = VocabularyHead(
            build_adapter("tensorguide", 24, 120, base=under, generator=generator, **sizes)
        )
        with torch.no_grad():
            outputs = head(features)
        ranks[name] = int(torch.linalg.matrix_rank(outputs))
        perplexities[name] = exp(float(cross_entropy(outputs, likely)) - entropy)
    return {
        "rank_replaced": ranks["replace"],
        "rank_added": ranks["add"],
        "start_added": perplexities["add"],
        "replaced": exp(least_loss(features, weight, likely, width) - entropy),
    }


def least_loss(features: Tensor, weight: Tensor, likely: Tensor, rank: int) -> float:
    """Cross-entropy of the best rank-`rank` map that L-BFGS finds, features to logits."""
    U, S, V = torch.linalg.svd(weight.T, full_matrices=False)
    half = S[:rank].sqrt()
    start = (U[:, :rank] * half, half[:, None] * V[:rank])
    factors = [one.contiguous().requires_grad_(True) for one in start]
    search = torch.optim.LBFGS(factors, max_iter=150, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        return cross_entropy(features @ factors[0] @ factors[1], likely)

    def closure() -> float:
        search.zero_grad()
        value = loss()
        value.backward()
        return float(value.detach())

    search.step(closure)
    with torch.no_grad():
        return float(loss())


def measure(effort: Effort) -> Measured:
    """Counts and shapes from the library, the bottleneck on a small model, the record's runs."""
    return collect(
        effort.record("table3"),
        shapes(),
        {width: bottlenecks(width, SAMPLE.seeds(effort)) for width in (1, 4)},
    )


def collect(
    record: Record | None,
    plans: list[dict[str, Any]],
    small: Mapping[int, Mapping[str, Any]],
) -> Measured:
    """The deciding numbers: counts, then each TensorGuide beside each larger LoRA."""
    values: dict[str, Any] = {
        "lora_params": plans[0]["lora_params"],
        "plans": len(plans),
        "fitting": sum(one["fits"] for one in plans),
        "least_params": min(one["params"] for one in plans),
        "most_params": max(one["params"] for one in plans),
        "within_bottleneck": all(b["rank_replaced"] <= w for w, b in small.items()),
        "recorded": record is not None,
        "gpu": NO_GPU,
    }
    models = min(ranks["models"] for ranks in small.values())
    for width, ranks in small.items():
        values |= {f"{name}_{width}": value for name, value in ranks.items()}
    if record is None:
        return Measured(values, plans, models)
    pairs = smaller_and_larger(record)
    device = str(record.provenance.get("device", "unknown"))
    values |= {
        "device": device,
        "gpu": "yes" if device.startswith("cuda") else NO_GPU,
        "pairs": len(pairs),
        "lower": sum(pair["sign"] < 0 for pair in pairs),
        "higher": sum(pair["sign"] > 0 for pair in pairs),
        "recorded_seeds": min((pair["seeds"] for pair in pairs), default=0),
        "comparison": pairs_sentence(record),
        "baseline": baseline_sentence(record),
    }
    return Measured(values, training_table(record), models)


def judge(measured: Measured) -> Finding:
    """FALSE if the counts do not come out; else what the pairs of perplexities say."""
    v = measured.values
    if v["lora_params"] != PUBLISHED_LORA or v["fitting"] < v["plans"]:
        return Finding(
            Verdict.FALSE,
            f"LoRA of rank 1 has {v['lora_params']} parameters (published: {PUBLISHED_LORA}), and "
            f"{v['fitting']} of {v['plans']} tensor trains fill 51025 M weights.",
        )
    exact = (
        f"Counts: exact, LoRA of rank 1 has {v['lora_params']}; a train of ranks 2, 2, 1 fills the "
        f"51025 M weights of M = 1 to {v['plans']} with {v['least_params']} to "
        f"{v['most_params']}. {_bottleneck_text(v)}"
    )
    if not v["recorded"]:
        return Finding(
            Verdict.DATA,
            f"{exact} {ABSENT} The record of table 3 is not there yet; GPU: {v['gpu']}. It would "
            "stand if every TensorGuide had the lower perplexity against every LoRA with more "
            "parameters, and fall if one had the higher.",
            brief="counts exact; no training record yet",
        )
    text = f"{exact} {v['comparison']} {v['baseline']} Device: {v['device']}; GPU: {v['gpu']}."
    brief = f"lower in {v['lower']} and higher in {v['higher']} of {v['pairs']} pairs"
    if v["pairs"] and v["lower"] == v["pairs"]:
        return Finding(Verdict.OK, text, brief=brief)
    if v["higher"] and v["lower"]:
        return Finding(
            Verdict.REGIME,
            text,
            f"At these sizes the order depends on the widths and ranks compared: {brief}.",
            brief=brief,
        )
    return Finding(Verdict.FALSE if v["higher"] else Verdict.DATA, text, brief=brief)


def _bottleneck_text(v: Mapping[str, Any]) -> str:
    if not v["within_bottleneck"]:
        return "A head in place of the projection exceeded rank M on the small random model."
    return (
        f"On {v['models_4']} random models of 24 features, a head of M = 4 in place of the "
        f"projection has logits of rank {v['rank_replaced_4']} (added: {v['rank_added_4']}), and "
        f"the best that any map of that rank reached on any of them is {v['replaced_4']:.2g} times "
        f"the model's own perplexity (M = 1: {v['replaced_1']:.2g}); added, its perplexity starts "
        f"at {v['start_added_4']:.4g} times."
        + (" So the reading must be the additive one." if v["replaced_4"] > 1.05 else "")
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "lora_params": "parameters of LoRA, r = 1",
        "plans": "widths planned",
        "fitting": "of them with a train that fills the weights",
        "least_params": "fewest parameters of TensorGuide",
        "most_params": "most, among these widths",
        "models_4": "small random models",
        "rank_replaced_1": "small model, M = 1 in place: rank of the logits",
        "replaced_1": "least perplexity of the best map of rank 1, over the model's own",
        "rank_replaced_4": "small model, M = 4 in place: rank of the logits",
        "rank_added_4": "the same, added",
        "replaced_4": "least perplexity of the best map of rank 4, over the model's own",
        "start_added_4": "perplexity at the start, added, over the model's own, most",
        "recorded_seeds": "seeds in the training record",
        "pairs": "pairs of a TensorGuide and a LoRA with more parameters",
        "lower": "of them with TensorGuide lower",
        "higher": "of them with TensorGuide higher",
        "device": "device of the record",
        "gpu": "GPU",
    },
    columns={
        **{"variant": "variant", "head": "head", "params": "P", "shape": "train"},
        **{"shapes": "shapes", "weights": "weights", "lora_params": "LoRA at r = M", "lr": "rate"},
        **{"seeds": "seeds", "test_perplexity": "test perplexity"},
        **{"test_perplexity_low": "95 %, low", "test_perplexity_high": "95 %, high"},
        "against_frozen": "minus the frozen model",
    },
    sample=SAMPLE,
    records=("table3",),
)
