"""Table 3 as Markdown: every number and every sentence from the record."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ntklab.experiments.training.language_table import (
    CLAIM,
    baseline_sentence,
    claim_comparisons,
    claim_verdict,
    language_table,
    searched_rates,
)
from ntklab.records import Record
from ntklab.tables import in_markdown, interval

NOT_MEASURED = "not yet measured"


def language_markdown(record: Record) -> str:
    """The page of a record: setting, both tables, the claim, its pairs, the searched rates.

    Args:
        record: of `ntklab train --task wikitext`.
    """
    rows = language_table(record)
    added = [row for row in rows if row["head"] == "add" or row["frozen"]]
    parts = [
        "## Table 3: the last layer of a language model on WikiText-2\n",
        _setting(record),
        "### Added to the frozen projection\n",
        _table([row for row in added if not row["variant"].startswith("truncated")]),
    ]
    if any(row["head"] == "replace" for row in rows):
        parts += [
            "### In place of the projection\n",
            "Logits then have rank at most M (or r), whatever is trained; beside them the frozen "
            "projection itself cut to that rank (nearest matrix in Frobenius norm, no training).\n",
            _table(
                [r for r in rows if r["head"] == "replace" or r["variant"].startswith("truncated")]
            ),
        ]
    parts += ["### What the evidence supports\n", f"Claim: {CLAIM}.\n", claim_verdict(record)]
    parts += ["", baseline_sentence(record), "", _pairs(record)]
    if searched_rates(record):
        parts += ["### Searched rates\n", _searches(record)]
    return "\n".join(parts) + "\n"


def _setting(record: Record) -> str:
    one = next(row for row in record.results if row.get("lr") is not None)
    made, source = record.provenance, record.config["source"]
    windows = source["windows"]
    sentences = [
        f"{source['model']}; windows of {source['context']} tokens, stride {source['stride']}: "
        f"{windows['train']} to train on, {windows['valid']} for validation, {windows['test']} for "
        f"the test ({one['test_tokens']} predictions).",
        f"{one['optimizer']}, {one['steps']} updates of {one['batch']} tokens, {one['schedule']} "
        "schedule; the parameters of the least validation loss are kept.",
        "Rates are searched on validation, at a seed of its own (below): one for each method, and "
        "one for each choice of TensorGuide's TT-ranks.",
        "Seeds draw starts and minibatches; texts and windows are the same for all, so intervals "
        "(Student's t, 95 %) say nothing of other texts.",
        f"{made['device']}, {made['dtype']}, {made['threads']} thread(s), torch "
        f"{made['versions']['torch']}, {made['seconds'] / 60:.0f} minutes. "
        f"This is a small run. Rows of a GPU: {_gpu(record)}.",
    ]
    return " ".join(sentences) + "\n"


def _gpu(record: Record) -> str:
    return "these" if record.provenance["device"].startswith("cuda") else NOT_MEASURED


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = ["variant", "parameters", "rate", "seeds", "validation perplexity", "test loss"]
    heads += ["test perplexity", "less the frozen model"]
    lines = []
    for row in rows:
        cells = [row["variant"].removeprefix("replace: "), row["params"]]
        cells += ["–" if row["lr"] is None else f"{row['lr']:g}", row["seeds"]]
        cells += [_told(row, "valid_perplexity"), _told(row, "test_loss", 4)]
        below = "–" if row["variant"] == "frozen" else _number(row["against_frozen"], 2, "+")
        cells += [_told(row, "test_perplexity"), below]
        lines.append(cells)
    return in_markdown(heads, lines)


def _told(row: Mapping[str, Any], name: str, digits: int = 2) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return interval(row[name], low, high, partial(_number, digits=digits))


def _number(value: float, digits: int = 2, sign: str = "") -> str:
    if not math.isfinite(value) or abs(value) >= 1e5:
        return f"{value:{sign}.2g}"
    return f"{value:{sign}.{0 if abs(value) >= 1e3 else digits}f}"


_WORDS = {-1: "lower", 0: "not told apart", 1: "higher"}


def _pairs(record: Record) -> str:
    headings = ("TensorGuide", "parameters", "LoRA", "parameters")
    signed = partial(_number, sign="+")
    rows = [
        [
            *(pair["variant"].removeprefix("tensorguide "), pair["params"]),
            *(pair["rival"].removeprefix("lora "), pair["rival_params"]),
            interval(pair["difference"], pair["low"], pair["high"], signed),
            _WORDS[pair["sign"]],
        ]
        for pair in claim_comparisons(record)
    ]
    return in_markdown([*headings, "difference of test perplexity", "is"], rows)


def _searches(record: Record) -> str:
    found: dict[str, list[str]] = {}
    for row in searched_rates(record):
        told = f"{row['lr']:g}: {_number(row['valid_perplexity'], 2)}"
        found.setdefault(row["variant"], []).append(told)
    rows = [(variant, ", ".join(told)) for variant, told in found.items()]
    return in_markdown(("variant", "rate: least validation perplexity"), rows)
