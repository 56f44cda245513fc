"""From numpy and torch numbers to JSON: finite floats, a stable text, and reasons for gaps."""

import hashlib
import json
import math
import numbers
from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """The value in JSON's own types: tuples become lists, numpy numbers Python's, −0.0 is 0.0.

    Args:
        value: None, a bool, number, string, path, or a mapping or sequence of those.

    Returns:
        A new object made of dict, list, str, int, float, bool and None.

    Raises:
        TypeError: for anything else, named by its type.

    Example:
        >>> import numpy as np
        >>> plain({"ranks": (1, np.int64(2)), "zero": -0.0})
        {'ranks': [1, 2], 'zero': 0.0}
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if hasattr(value, "__fspath__"):
        return str(value)
    if hasattr(value, "item"):  # a numpy scalar or a tensor of one element
        value = value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) + 0.0  # −0.0 + 0.0 is 0.0
    raise TypeError(f"a record cannot hold a {type(value).__name__}")


def without_gaps(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with every NaN or infinity turned into null and named in its `reason`.

    JSON has no NaN, and a reader who meets a gap wants to know why it is there.

    Example:
        >>> without_gaps({"condition": float("inf"), "rank": 3})
        {'condition': None, 'rank': 3, 'reason': 'condition is infinite'}
    """
    cleaned = plain(row)
    said = cleaned.pop("reason", None)
    reasons = [said] if said else []
    for name, value in cleaned.items():
        if isinstance(value, float) and not math.isfinite(value):
            cleaned[name] = None
            reasons.append(f"{name} is {'not a number' if math.isnan(value) else 'infinite'}")
    return cleaned | {"reason": "; ".join(reasons) or None}


def to_json(value: Any) -> str:
    """JSON text that depends on the content alone: sorted keys, shortest exact floats.

    Raises:
        ValueError: if a NaN or an infinity is inside (see `without_gaps`).

    Example:
        >>> print(to_json({"b": 0.1, "a": [1, 2]}), end="")
        {
          "a": [
            1,
            2
          ],
          "b": 0.1
        }
    """
    text = json.dumps(plain(value), sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False)
    return text + "\n"


def fingerprint(value: Any) -> str:
    """SHA-256 of the value's JSON text, 64 hexadecimal digits.

    Example:
        >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(to_json(value).encode()).hexdigest()
