"""Rows of a record on their way into a figure: what must be there, groups, columns."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ntklab.errors import InputError
from ntklab.records import Record

Row = Mapping[str, Any]


def need(record: Record, *columns: str, command: str) -> None:
    """Refuse a record none of whose rows has a column that a figure draws.

    Args:
        record: what is to be drawn.
        columns: names that some row must have.
        command: what makes a record that has them, for the sentence.

    Raises:
        InputError: naming the first column that is missing.

    Example:
        >>> need(Record("sweep", {}, {}, [{"rank": 3}]), "condition", command="ntklab sweep")
        Traceback (most recent call last):
        ntklab.errors.InputError: the record of ntklab sweep has no column 'condition', which this \
figure draws: make it with  ntklab sweep.
    """
    for name in columns:
        if not any(name in row for row in record.results):
            raise InputError(
                f"the record of ntklab {record.command} has no column '{name}', which this figure "
                f"draws: make it with  {command}."
            )


def column(rows: Iterable[Row], name: str) -> np.ndarray:
    """One column in float64; what is absent is NaN, which matplotlib leaves out.

    Example:
        >>> column([{"x": 1}, {"x": None}], "x")
        array([ 1., nan])
    """
    values = (row.get(name) for row in rows)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
