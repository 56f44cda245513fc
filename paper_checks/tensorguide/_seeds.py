"""One number a seed, told as a median with quartiles."""

from collections.abc import Iterable

import numpy as np


def quartiles(name: str, values: Iterable[float]) -> dict[str, float]:
    """Median as `name`, quartiles as `name_low` and `name_high`.

    Example:
        >>> quartiles("loss", [1.0, 2.0, 3.0, 4.0, 5.0])
        {'loss': 3.0, 'loss_low': 2.0, 'loss_high': 4.0}
    """
    low, middle, high = np.quantile(np.array(list(values), dtype=float), (0.25, 0.5, 0.75))
    return {name: float(middle), f"{name}_low": float(low), f"{name}_high": float(high)}
