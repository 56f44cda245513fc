"""Fine-tuning on prompts as an experiment: cells in, one row a variant and seed out."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ntklab.experiments.run import Experiment, Plan
from ntklab.experiments.training.prompt.cell import run_prompt
from ntklab.experiments.training.prompt.config import (
    BEYOND,
    MULTIPLES,
    RATES,
    PromptConfig,
)
from ntklab.experiments.training.prompt.prediction import (
    Known,
    curve_columns,
    kernel_columns,
    prediction_columns,
    training_loss,
)
from ntklab.experiments.training.prompt.search import search_of, with_rates
from ntklab.records import Cell, without_gaps

#: Arrays that stay in the folder of the run: columns and curves are made from them.
_OF_THE_FOLDER = (
    *("kernel", "kernel_others", "sign_kernel", "start_outputs", "first_outputs"),
    *("final_outputs", "labels"),
)

#: Columns of a run, which a row holds of each optimizer; renamed where the name says too little.
_OF_A_RUN = {
    **{"test_accuracy": "accuracy", "test_loss": "loss", "lr": "lr", "rate": "rate"},
    **{name: name for name in ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")},
    **{"best_step": "steps", "steps": "steps_made", "stopped_early": "stopped_early"},
    **{"diverged": "diverged", "steps_to_half": "steps_to_half_valid"},
    **{"drift_max": "drift", "linearization_error_max": "linearization_error"},
    **{"jacobian_change_max": "jacobian_change", "ntk_regime": "ntk_regime"},
    "weights_linearization_error_max": "weights_linearization_error",
    **{"ntk_regime_because": "ntk_regime_because", "steps_to_loss": "steps_to_loss"},
    **{"seconds": "seconds", "train_seconds": "train_seconds", "cell": "cell"},
}
_UNUSED = ("lazy_index", "forced_drift", "start_test_accuracy", "start_test_loss", "optimizer")


def rows_of(cell: Cell) -> list[dict[str, Any]]:
    """The row of a run with the columns of its kernel and prediction; of a search what it tried."""
    row = cell.flat
    if row["purpose"] == "search":
        tried = {"tried": cell.arrays["rates"].tolist()}
        return [{name: row[name] for name in ("variant", "optimizer", "purpose")} | tried]
    row["steps_to_loss"] = _steps_to_loss(cell)
    if "kernel" in cell.arrays:
        known = _known(cell)
        row |= kernel_columns(known) | prediction_columns(known)[0]
    return [without_gaps(row)]


def arrays_of(cell: Cell) -> dict[str, np.ndarray]:
    """Measured curves under the optimizer's name, and predicted ones; of a search what it tried.

    Kernels and the outputs on single sentences stay in the folder of the run: a record of a panel
    is to be small.
    """
    row, optimizer = cell.row, cell.row["optimizer"]
    if row["purpose"] == "search":
        return dict(cell.arrays)
    kept = {
        f"{optimizer}_{name}": values
        for name, values in cell.arrays.items()
        if name not in _OF_THE_FOLDER
    }
    if "kernel" in cell.arrays and optimizer == "sgd":
        times = torch.from_numpy(cell.arrays["step"]) * row["rate"]
        kept |= curve_columns(_known(cell), times, row["loss"])
    return kept


def merge_optimizers(rows: list[dict[str, Any]]) -> None:
    """One row a variant and seed: what was measured stands under the name of its optimizer.

    Searches leave the rows; `lr_at_end` says whether the rate that they chose is the first or last
    of all that they tried, so that a better one may lie beyond; None where none was searched.
    """
    merged: dict[tuple[str, int], dict[str, Any]] = {}
    tried: dict[tuple[str, str], list[float]] = {}
    for row in (row for row in rows if row["purpose"] == "search"):
        tried.setdefault((row["variant"], row["optimizer"]), []).extend(row["tried"])
    for row in (row for row in rows if row["purpose"] != "search"):
        optimizer = row["optimizer"]
        run = {f"{new}_{optimizer}": row.get(old) for old, new in _OF_A_RUN.items()}
        rates = tried.get((row["variant"], optimizer))
        run[f"lr_at_end_{optimizer}"] = rates and row["lr"] in (min(rates), max(rates))
        rest = {k: v for k, v in row.items() if k not in _OF_A_RUN and k not in _UNUSED}
        rest |= {"cell": row["cell"]}
        before = merged.get((row["variant"], row["seed"]), {})
        reasons = [reason for reason in (before.get("reason"), row["reason"]) if reason]
        reason = {"reason": "; ".join(reasons) or None}
        merged[row["variant"], row["seed"]] = rest | before | run | reason
    whole = list(merged.values())
    rows[:] = [{**row, **_about(row, whole)} for row in whole]


def _about(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    method = row["method"]
    family = "peft" if method.startswith("peft:") else "ntklab"
    family = "reference" if method in ("full", "linear-probe") else family
    counts = sorted({one["params"] for one in rows if one["method"] == method})
    size = None
    if len(counts) > 1:
        size = {counts[0]: "small", counts[-1]: "large"}.get(row["params"])
    about = {"family": family, "size": size, "linearized_recovers": _recovers(row)}
    # What stands in a configuration and does not hold of these methods.
    about |= {"start": "peft's own"} if family == "peft" else {}
    elsewhere = {"linear-probe": "the head", "full": "all", "peft:ln-tuning": "norms"}
    return about | ({"target_modules": elsewhere[method]} if method in elsewhere else {})


def _recovers(row: dict[str, Any]) -> float | None:
    """The share of fine-tuning's gain over the start that the linearized model makes."""
    linear, start = row.get("predicted_accuracy_cross_entropy"), row.get("zero_shot_accuracy")
    tuned = row.get("accuracy_adam") or row.get("accuracy_sgd")
    if linear is None or start is None or tuned is None or tuned - start < 0.02:
        return None
    return float((linear - start) / (tuned - start))


def _known(cell: Cell) -> Known:
    counts = {name: cell.row[f"{name}_samples"] for name in ("train", "valid", "test")}
    return Known.of(cell.arrays, counts)


def _steps_to_loss(cell: Cell) -> int | None:
    """Updates until the training loss (mean over batches since the last look) has halved."""
    shots = cell.row["train_samples"]
    f0 = torch.from_numpy(cell.arrays["first_outputs"])
    y = torch.from_numpy(cell.arrays["labels"][:shots])
    start = training_loss(f0, y, cell.row["loss"])
    curve = zip(cell.arrays["step"], cell.arrays.get("train_loss", ()), strict=False)
    return next((int(step) for step, loss in curve if loss <= start / 2), None)


def described(configs: Sequence[PromptConfig]) -> dict[str, Any]:
    """Settings that all runs share, their variants and seeds, and the protocol of the searches."""
    measured = [config for config in configs if config.purpose != "search"] or list(configs)
    flat = [config.to_dict() for config in measured]
    common = {key: value for key, value in flat[0].items() if all(o[key] == value for o in flat)}
    return {
        **common,
        "variants": list(dict.fromkeys(config.variant for config in measured)),
        "seeds": list(dict.fromkeys(config.compute.seed for config in measured)),
        "optimizers": list(dict.fromkeys(config.optimizer for config in measured)),
        "grids": {"adam": list(RATES), "sgd, times the stability limit": list(MULTIPLES)},
        "beyond the grids": {
            name: [rate for part in BEYOND[rates] for rate in part]
            for name, rates in (("adam", RATES), ("sgd", MULTIPLES))
        },
        "search": with_rates.__doc__.split("\n\n")[1].replace("\n    ", " ").strip(),  # type: ignore[union-attr]
    }


#: What the runs of one folder must share.
_SHARED = (
    *("data", "text_column", "label_column", "classes", "rating_column", "thresholds", "model"),
    *("tokenizer", "template", "words", "shots", "valid_shots", "test", "context", "dtype"),
    *("device", "loss", "start", "batch", "epochs", "patience", "watched"),
)


def shared(configs: Sequence[PromptConfig]) -> dict[str, Any]:
    """Settings of a folder, which may grow in methods, layers, optimizers and seeds."""
    flat, path = configs[0].to_dict(), configs[0].data.path
    digest = None
    if path is not None and Path(path).is_file():
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {key: flat[key] for key in _SHARED} | {"data_sha256": digest}


def planned(configs: Sequence[PromptConfig]) -> Plan:
    """How many runs and searches there are."""
    searches = {search_of(config) for config in configs if config.lr is None}
    variants = list(dict.fromkeys(config.variant for config in configs))
    return Plan(
        [{"variant": variant} for variant in variants],
        [
            f"{len(configs)} runs of {len(variants)} variants, after {len(searches)} searches of "
            "a rate (each with a further one where the end of its grid is the best): for a model "
            "of 135 M parameters, 64 shots and 6 layers each takes one to two "
            "minutes on two cores."
        ],
    )


PROMPT = Experiment(
    name="pair",
    config=PromptConfig,
    cell=run_prompt,
    columns={},
    described=described,
    shared=shared,
    rows=rows_of,
    arrays=arrays_of,
    finish=merge_optimizers,
    complete=with_rates,
    plan=planned,
    threads=lambda configs: torch.get_num_threads(),
    long=True,
)
