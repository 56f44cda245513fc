"""`ntklab approx` as an experiment: cells, columns, what a record says of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from ntklab.experiments.approximation.cell import check_shapes, run_approximation_cell
from ntklab.experiments.approximation.config import (
    ApproximationConfig,
    approximation_config,
    shared_by_target,
)
from ntklab.experiments.run import Experiment, Plan
from ntklab.tables import Columns

COLUMNS: Columns = {
    "target": "target",
    "kind": "network",
    "seed": "seed",
    "width": "M",
    "tt_ranks": "TT-ranks",
    "params": "P",
    "test_error": "error",
    "target_rms": "of",
    "barron_bound": "C/√M",
    "test_accuracy": "accuracy",
    "reason": "reason",
}
TRUNCATED: Columns = {
    "target": "target",
    "seed": "seed",
    "width": "M",
    "tt_ranks": "TT-ranks",
    "relative_error_lower": "max τ",
    "relative_error": "ε_TT/‖w‖",
    "relative_error_upper": "Σ τ",
    "function_error": "‖f − f̂‖",
    "function_bound": "eq 8",
    "sum_bound": "eq 9",
    "adapter_error": "adapter",
    "accuracy_before": "before",
    "accuracy_after": "after",
    "adapter_accuracy": "adapter",
}
_PLANNED = ("target", "network", "width", "tt_ranks", "seed", "samples", "steps")
# Entries of W_1 times samples that are trained a second on one core, by the committed records.
_SPEED = 1.3e9
_HEAD_FEATURES = 512  # of a task's backbone
_BESIDE = 1.0  # seconds: data, evaluation, truncations


def plan(configs: Sequence[ApproximationConfig]) -> Plan:
    """Every network to be trained, and about how long all of them take on one core."""
    rows = [{name: _text(config.get(name)) for name in _PLANNED} for config in configs]
    minutes = sum(map(_seconds, configs)) / 60
    return Plan(
        rows,
        [f"{len(configs)} networks to train, about {minutes:.1f} minutes on one core, estimated."],
    )


def _seconds(config: ApproximationConfig) -> float:
    features = config.features if config.target == "barron" else _HEAD_FEATURES
    return _BESIDE + config.steps * (config.batch or 1) * config.width * features / _SPEED


def adapters_beside(rows: list[dict[str, Any]]) -> None:
    """Put the adapter trained at the same width and ranks beside each truncation."""
    adapters = {_point(row): row for row in rows if row["kind"] == "adapter"}
    for row in rows:
        beside = adapters.get(_point(row)) if row["kind"] == "truncation" else None
        if beside is not None:
            row["adapter_error"] = beside.get("test_error")
            row["adapter_accuracy"] = beside.get("test_accuracy")


def _point(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("target", "width", "tt_ranks", "seed"))


def _text(value: Any) -> Any:
    """TT-ranks as the command takes them: all to which a dense network is cut."""
    if not isinstance(value, tuple):
        return value
    return "; ".join(",".join(map(str, ranks)) for ranks in value)


APPROXIMATION = Experiment(
    name="approx",
    config=ApproximationConfig,
    cell=run_approximation_cell,
    columns=COLUMNS,
    described=approximation_config,
    shared=shared_by_target,
    finish=adapters_beside,
    check=check_shapes,
    plan=plan,
)
