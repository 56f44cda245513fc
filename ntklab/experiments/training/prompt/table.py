"""The table of a panel: one line a variant, medians over seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ntklab.records import Record
from ntklab.statistics import median_interval

FIGURES = (
    *("lambda_min", "lambda_min_over_mean", "condition", "effective_dimension"),
    *("kernel_target_alignment", "label_alignment", "zero_shot_accuracy", "predicted_accuracy"),
    *("predicted_loss", "accuracy_adam", "accuracy_sgd", "loss_adam", "loss_sgd"),
    *("steps_adam", "steps_sgd", "drift_adam", "drift_sgd", "seconds_adam", "seconds_sgd"),
)


def prompt_table(record: Record, figures: Sequence[str] = FIGURES) -> list[dict[str, Any]]:
    """One row a variant: medians over seeds with 95 % bootstrap intervals.

    Returns:
        `variant`, `params`, `seeds`, each figure with `_low` and `_high`, the rates, and `reason`.
    """
    table = []
    variants = dict.fromkeys(row["variant"] for row in record.results)
    for variant in variants:
        rows = [row for row in record.results if row["variant"] == variant]
        line = {name: rows[0].get(name) for name in ("variant", "params", "lr_adam", "lr_sgd")}
        line["seeds"] = len(rows)
        for figure in figures:
            if any(row.get(figure) is not None for row in rows):
                median = median_interval([row.get(figure) for row in rows])
                line |= {figure: median.value, f"{figure}_low": median.low}
                line |= {f"{figure}_high": median.high}
        table.append(line | {"reason": None if len(rows) > 1 else "one seed has no interval"})
    return table


def curve_table(record: Record, cell: str, optimizer: str) -> list[dict[str, Any]]:
    """Losses and accuracies of one run beside those predicted, at every look."""

    def column(name: str) -> list[float | None]:
        values = record.arrays.get(f"{cell}.{name}")
        if values is None:
            return [None] * len(record.arrays[f"{cell}.{optimizer}_step"])
        return [None if np.isnan(value) else float(value) for value in values]

    own = ("train_loss", "valid_loss", "test_loss", "test_accuracy", "drift", "linearization_error")
    columns = {name: column(f"{optimizer}_{name}") for name in ("step", *own)}
    predicted = ("predicted_train_loss", "predicted_test_loss", "predicted_test_accuracy")
    columns |= {name: column(name) for name in predicted}
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return [row | {"step": int(row["step"] or 0)} for row in rows]
