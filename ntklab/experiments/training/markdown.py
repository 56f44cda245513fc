"""Tables of training runs as Markdown: every number and every sentence from the record."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ntklab.experiments.training.bounds_table import bounds_markdown
from ntklab.experiments.training.evidence import (
    QUESTIONS,
    baseline_sentence,
    evidence,
    evidence_sentences,
    judged_by,
    pairs_sentence,
    regime_sentence,
    table_number,
)
from ntklab.experiments.training.table import (
    comparisons,
    searched_rates,
    smaller_and_larger,
    training_table,
)
from ntklab.records import Record
from ntklab.statistics import grouped
from ntklab.tables import in_markdown, interval

#: When `PairedDifference.decided` says that a difference counts.
_RULE = (
    "A difference counts where the 95 % bootstrap interval of its mean leaves zero out and "
    "Wilcoxon's p, by Holm over the comparisons of one setting, is below 0.05.\n"
)

#: What the paper ran and nobody here has: through the backbone, 15 epochs, on a GPU.
NOT_MEASURED = "not yet measured"
NOT_ON_GPU = f"{NOT_MEASURED} on GPU"
BELOW = "below"

_TITLES = {
    1: "Table 1: methods beside each other",
    2: "Table 2: hidden widths of TensorGuide",
    3: "Table 3: the last layer of a language model on WikiText-2",
    5: "Table 5: TT-ranks of TensorGuide",
}
_ACCURACIES = {
    "noisy_accuracy": "noisy test",
    "clean_accuracy": "clean test",
    "test_accuracy": "test",
    "train_accuracy": "train",
}


def table_markdown(record: Record, table: int | None = None, *, on_gpu: bool = False) -> str:
    """A table with its setting, its rows, and the sentences that the numbers support.

    Args:
        record: of `ntklab pair` or `ntklab train`.
        table: 1, 2, 3 or 5; told from the variants if None.
        on_gpu: whether the runs through the backbone stand below, from a GPU.
    """
    number = table or table_number(record)
    parts = _of_words(record) if number == 3 else _of_heads(record, number, on_gpu)
    return "\n".join([f"## {_TITLES[number]}\n", *parts])


def _of_heads(record: Record, number: int, on_gpu: bool) -> list[str]:
    reference, _ = QUESTIONS[number]
    rows = training_table(record)
    lines = [_setting_of_heads(record)]
    for (settings,), chosen in grouped(rows, "settings").items():
        lines += [f"### {settings} settings\n", _rows_of_heads(chosen, settings, on_gpu)]
        if bounds := bounds_markdown(chosen):
            lines += [bounds + "\n"]
    if any(row["variant"] == reference for row in rows) and len(rows) > 1:
        lines += ["### What the evidence supports\n", judged_by(number) + "\n", _RULE]
        lines += [f"- {sentence}" for sentence in evidence_sentences(record, number)]
    return [*lines, "", regime_sentence(record) + "\n"]


def _of_words(record: Record) -> list[str]:
    rows = training_table(record)
    added = [r for r in rows if r["head"] == "add" and not r["variant"].startswith("truncated")]
    replaced = [r for r in rows if r["head"] == "replace"]
    lines = [_setting_of_words(record), "### Added to the frozen projection\n"]
    lines += [_rows_of_words(added)]
    if replaced:
        cut = [row for row in rows if row["variant"].startswith("truncated")]
        lines += [
            "### In place of the projection\n",
            "Logits then have rank at most M (or r), whatever is trained; beside them the frozen "
            "projection itself cut to that rank (nearest matrix in Frobenius norm, no training).\n",
            _rows_of_words([row for row in rows if row in replaced or row in cut]),
        ]
    lines += ["### What the evidence supports\n", judged_by(3) + "\n"]
    lines += [pairs_sentence(record), "", baseline_sentence(record), "", _pairs(record)]
    if searches := grouped(searched_rates(record), "variant"):
        cells = [(name, ", ".join(map(_searched, rows))) for (name,), rows in searches.items()]
        headings = ("variant", "rate: least validation perplexity")
        lines += ["### Searched rates\n", in_markdown(headings, cells)]
    return [*lines, ""]


def end_to_end_markdown(record: Record | None) -> str:
    """The released runs through the backbone, or that none has been measured."""
    lines = ["## Released runs through the backbone (conv1 trained)\n"]
    if record is None:
        return "\n".join([*lines, f"As in the paper: {NOT_ON_GPU}.\n"])
    headings = ["method", "trained weights", "images", "epochs", "seeds", "noisy test"]
    headings += ["clean test", "run", "GPU"]
    cells = []
    first = {row["variant"]: row for row in reversed(record.results)}
    for row in training_table(record):
        first_row = first[row["variant"]]
        line = [row["method"], row["params_with_conv1"], first_row["samples"], row["epochs"]]
        line += [row["seeds"], _interval(row, "noisy_accuracy"), _interval(row, "clean_accuracy")]
        cells.append([*line, first_row["scale_of_run"], first_row["gpu"]])
    lines.append(in_markdown(headings, cells).rstrip("\n"))
    seeds = len({row["seed"] for row in record.results})
    runs = f"{seeds} seed{'s' if seeds > 1 else ''} on {record.provenance['device']}"
    if seeds == 1:
        return "\n".join([*lines, "", f"{runs}; no comparison is drawn.\n"])
    lines += ["", f"{runs}; medians, in brackets 95 % bootstrap intervals.", ""]
    lines += [f"- {evidence(comparison)}" for comparison in comparisons(record, QUESTIONS[1][0])]
    return "\n".join([*lines, ""])


def on_gpu_markdown(records: Sequence[Record]) -> str:
    """The runs of `ntklab gpu-records` through the backbone, each with its device."""
    headings = ["variant", "trained weights", "images", "epochs", "seeds", "noisy test"]
    cells = [line for record in records for line in _runs_of_gpu(record)]
    lines = [
        "## The same by `ntklab gpu-records`\n",
        in_markdown([*headings, "clean test", "run", "device"], cells).rstrip("\n"),
        "",
        "Medians over seeds, in brackets 95 % bootstrap intervals.",
        "",
    ]
    for record in records:
        if len({row["seed"] for row in record.results}) > 1:
            lines += [f"- {evidence(one)}" for one in comparisons(record, QUESTIONS[1][0])]
    return "\n".join([*lines, ""])


def _runs_of_gpu(record: Record) -> list[list[Any]]:
    first = {row["variant"]: row for row in reversed(record.results)}
    cells = []
    for row in training_table(record):
        first_row = first[row["variant"]]
        line = [row["variant"], row["params_with_conv1"], first_row["samples"], row["epochs"]]
        line += [row["seeds"], _interval(row, "noisy_accuracy"), _interval(row, "clean_accuracy")]
        cells.append([*line, first_row["scale_of_run"], record.provenance["device"]])
    return cells


def _setting_of_heads(record: Record) -> str:
    first, made = record.results[0], record.provenance
    return (
        f"{first['task']}, trained on {first['samples']} {first['data_condition'] or ''} samples, "
        f"{len({row['seed'] for row in record.results})} seeds (start, minibatches, validation "
        f"rows; one data set, one test split), features computed once and cached, "
        f"{made['device']}, {made['dtype']}, torch {made['versions']['torch']}. P counts the "
        "head, in brackets with the 3136 weights of conv1 that the paper counts. Medians over "
        "seeds, in brackets 95 % bootstrap intervals.\n"
    )


def _setting_of_words(record: Record) -> str:
    trained = next(row for row in record.results if row.get("lr") is not None)
    made, source = record.provenance, record.config["source"]
    windows = source["windows"]
    gpu = "these" if made["device"].startswith("cuda") else NOT_MEASURED
    sentences = [
        f"{source['model']}; windows of {source['context']} tokens, stride {source['stride']}: "
        f"{windows['train']} to train on, {windows['valid']} for validation, {windows['test']} for "
        f"the test ({trained['test_tokens']} predictions).",
        f"{trained['optimizer']}, {trained['steps']} updates of {trained['batch']} tokens, "
        f"{trained['schedule']} schedule; the parameters of the least validation loss are kept.",
        "Rates are searched on validation, at a seed of its own (below): one for each method, and "
        "one for each choice of TensorGuide's TT-ranks.",
        "Seeds draw starts and minibatches; texts and windows are the same for all, so intervals "
        "(Student's t, 95 %) say nothing of other texts.",
        f"{made['device']}, {made['dtype']}, {made['threads']} thread(s), torch "
        f"{made['versions']['torch']}, {made['seconds'] / 60:.0f} minutes. "
        f"This is a small run. Rows of a GPU: {gpu}.",
    ]
    return " ".join(sentences) + "\n"


def _rows_of_heads(rows: Sequence[Mapping[str, Any]], settings: str, on_gpu: bool) -> str:
    shown = {k: v for k, v in _ACCURACIES.items() if any(row.get(k) is not None for row in rows)}
    if "noisy_accuracy" in shown:  # then it or the clean one is the test itself
        shown.pop("test_accuracy", None)
    headings = ["variant", "P", "batch", "rate", "seeds", *shown.values()]
    headings += ["loss gap", "predicted / measured loss", "drift", "NTK regime"]
    cells = []
    for row in rows:
        conv = row["params_with_conv1"]
        line = [row["variant"], f"{row['params']}" + (f" ({conv})" if conv else "")]
        line += [row["batch"], _number(row.get("lr")), row["seeds"]]
        line += [_interval(row, name) for name in shown]
        line += [_number(row.get("gap")), _beside(row), _number(row.get("drift_max"))]
        cells.append([*line, row["in_regime"] or "–"])
    if settings == "released" and any(row["params_with_conv1"] for row in rows):
        unmeasured = [
            "each, through the backbone, 3 seeds, 15 epochs",
            BELOW if on_gpu else NOT_ON_GPU,
        ]
        cells.append(unmeasured + ["–"] * (len(headings) - 2))
    return in_markdown(headings, cells)


def _rows_of_words(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = ["variant", "parameters", "rate", "seeds", "validation perplexity", "test loss"]
    heads += ["test perplexity", "less the frozen model"]
    lines = []
    for row in rows:
        cells = [row["variant"].removeprefix("replace: "), row["params"]]
        cells += ["–" if row["lr"] is None else f"{row['lr']:g}", row["seeds"]]
        cells += [_mean(row, "valid_perplexity"), _mean(row, "test_loss", 4)]
        below = "–" if row["variant"] == "frozen" else _perplexity(row["against_frozen"], 2, "+")
        cells += [_mean(row, "test_perplexity"), below]
        lines.append(cells)
    return in_markdown(heads, lines)


def _beside(row: Mapping[str, Any]) -> str:
    if row.get("predicted_loss") is None:
        return "–"
    return f"{_number(row['predicted_loss'])} / {_number(row['train_loss'])}"


def _interval(row: Mapping[str, Any], name: str) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return interval(row.get(name), low, high, _share)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _mean(row: Mapping[str, Any], name: str, digits: int = 2) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return interval(row[name], low, high, partial(_perplexity, digits=digits))


def _perplexity(value: float, digits: int = 2, sign: str = "") -> str:
    if not math.isfinite(value) or abs(value) >= 1e5:
        return f"{value:{sign}.2g}"
    return f"{value:{sign}.{0 if abs(value) >= 1e3 else digits}f}"


_WORDS = {-1: "lower", 0: "not told apart", 1: "higher"}


def _pairs(record: Record) -> str:
    headings = ("TensorGuide", "parameters", "LoRA", "parameters")
    signed = partial(_perplexity, sign="+")
    rows = [
        [
            *(pair["variant"].removeprefix("tensorguide "), pair["params"]),
            *(pair["rival"].removeprefix("lora "), pair["rival_params"]),
            interval(pair["difference"], pair["low"], pair["high"], signed),
            _WORDS[pair["sign"]],
        ]
        for pair in smaller_and_larger(record)
    ]
    return in_markdown([*headings, "difference of test perplexity", "is"], rows)


def _searched(row: Mapping[str, Any]) -> str:
    return f"{row['lr']:g}: {_perplexity(row['valid_perplexity'])}"
