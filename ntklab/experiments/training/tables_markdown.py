"""Tables of pairs as Markdown: every number and every sentence from the record."""

from collections.abc import Mapping, Sequence
from typing import Any

from ntklab.experiments.training.tables import (
    QUESTIONS,
    comparisons,
    evidence,
    evidence_sentences,
    judged_by,
    pair_table,
    regime_sentence,
    table_number,
)
from ntklab.experiments.training.tables_bounds import bounds_markdown
from ntklab.records import Record
from ntklab.tables import in_markdown, interval

#: When `PairedDifference.decided` says that a difference counts.
_RULE = (
    "A difference counts where the 95 % bootstrap interval of its mean leaves zero out and "
    "Wilcoxon's p, by Holm over the comparisons of one setting, is below 0.05.\n"
)

#: What the paper ran and nobody here has: through the backbone, 15 epochs, on a GPU.
NOT_ON_GPU = "not yet measured on GPU"

_TITLES = {
    1: "Table 1: methods beside each other",
    2: "Table 2: hidden widths of TensorGuide",
    5: "Table 5: TT-ranks of TensorGuide",
}
_ACCURACIES = {
    "noisy_accuracy": "noisy test",
    "clean_accuracy": "clean test",
    "test_accuracy": "test",
    "train_accuracy": "train",
}


def table_markdown(record: Record, table: int | None = None) -> str:
    """A table with its setting, its rows, and the sentences that the numbers support.

    Args:
        record: of `ntklab pair`, or of `ntklab train --end-to-end`.
        table: 1, 2 or 5; told from the variants if None.
    """
    number = table or table_number(record)
    reference, _ = QUESTIONS[number]
    lines = [f"## {_TITLES[number]}\n", _setting(record)]
    rows = pair_table(record)
    for settings in dict.fromkeys(row["settings"] for row in rows):
        chosen = [row for row in rows if row["settings"] == settings]
        lines += [f"### {settings} settings\n", _rows(chosen, settings)]
        if told := bounds_markdown(chosen):
            lines += [told + "\n"]
    if any(row["variant"] == reference for row in rows) and len(rows) > 1:
        lines += ["### What the evidence supports\n", judged_by(number) + "\n", _RULE]
        lines += [f"- {sentence}" for sentence in evidence_sentences(record, number)]
    lines += ["", regime_sentence(record) + "\n"]
    return "\n".join(lines)


def end_to_end_markdown(record: Record | None) -> str:
    """The released runs through the backbone, or that none has been measured."""
    lines = ["## Released runs through the backbone (conv1 trained)\n"]
    if record is None:
        return "\n".join([*lines, f"As in the paper: {NOT_ON_GPU}.\n"])
    headings = ["method", "trained weights", "images", "epochs", "seeds", "noisy test"]
    headings += ["clean test", "run", "GPU"]
    cells = []
    first = {row["variant"]: row for row in reversed(record.results)}
    for row in pair_table(record):
        one = first[row["variant"]]
        line = [row["method"], row["params_with_conv1"], one["samples"], row["epochs"]]
        line += [row["seeds"], _interval(row, "noisy_accuracy"), _interval(row, "clean_accuracy")]
        cells.append([*line, one["scale_of_run"], one["gpu"]])
    lines.append(in_markdown(headings, cells).rstrip("\n"))
    seeds = len({row["seed"] for row in record.results})
    told = f"{seeds} seed{'s' if seeds > 1 else ''} on {record.provenance['device']}"
    if seeds == 1:
        return "\n".join([*lines, "", f"{told}; no comparison is drawn.\n"])
    lines += ["", f"{told}; medians, in brackets 95 % bootstrap intervals.", ""]
    lines += [f"- {evidence(one)}" for one in comparisons(record, QUESTIONS[1][0])]
    return "\n".join([*lines, ""])


def _setting(record: Record) -> str:
    one, made = record.results[0], record.provenance
    return (
        f"{one['task']}, trained on {one['samples']} {one['data_condition'] or ''} samples, "
        f"{len({row['seed'] for row in record.results})} seeds (start, minibatches, validation "
        f"rows; one data set, one test split), features computed once and cached, "
        f"{made['device']}, {made['dtype']}, torch {made['versions']['torch']}. P counts the "
        "head, in brackets with the 3136 weights of conv1 that the paper counts. Medians over "
        "seeds, in brackets 95 % bootstrap intervals.\n"
    )


def _rows(rows: Sequence[Mapping[str, Any]], settings: str) -> str:
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
        unmeasured = ["each, through the backbone, 3 seeds, 15 epochs", NOT_ON_GPU]
        cells.append(unmeasured + ["–"] * (len(headings) - 2))
    return in_markdown(headings, cells)


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
