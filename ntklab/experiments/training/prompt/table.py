"""The curves of one run on prompts beside those predicted."""

from typing import Any

import numpy as np

from ntklab.records import Record


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
