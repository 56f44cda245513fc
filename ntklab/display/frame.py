"""Rows as a pandas frame (pandas comes with seaborn), imported where it is asked for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def frame_of(rows: Iterable[Mapping[str, Any]]) -> "pd.DataFrame":
    """One row a mapping; columns in the order in which they first occur, None as a gap.

    Example:
        >>> list(frame_of([{"step": 0, "loss": 1.0}, {"step": 1, "gap": 2.0}]).columns)
        ['step', 'loss', 'gap']
    """
    import pandas as pd

    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pd.DataFrame(rows, columns=names)


def frame_of_columns(columns: Mapping[str, Sequence[Any]]) -> "pd.DataFrame":
    """Columns of one length, in their order.

    Example:
        >>> frame_of_columns({"step": [0, 1], "loss": [1.0, 0.5]}).shape
        (2, 2)
    """
    import pandas as pd

    return pd.DataFrame(dict(columns))
