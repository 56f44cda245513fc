"""Values in few characters: a tensor by its dtype and shape, never by its entries."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from typing import Any

# Longer sequences are counted, shorter ones are written out.
_MOST_ENTRIES = 6
_MOST_CHARACTERS = 60


class OneLine:
    """A notebook shows the same text."""

    def _repr_html_(self) -> str:
        return f"<samp>{escape(repr(self))}</samp>"


class ShortRepr(OneLine):
    """A dataclass (made with `repr=False`) that shows tensors by their shape.

    Example:
        >>> from dataclasses import dataclass
        >>> import numpy as np
        >>> @dataclass(repr=False)
        ... class Pair(ShortRepr):
        ...     values: np.ndarray
        ...     scale: float
        >>> Pair(np.zeros((3, 2)), 1 / 3)
        Pair(values=float64 (3, 2), scale=0.333333)
    """

    def __repr__(self) -> str:
        """The fields in their order, each in few characters."""
        parts = (f"{field.name}={brief(getattr(self, field.name))}" for field in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(parts)})"


def brief(value: Any) -> str:
    """A value in few characters.

    Args:
        value: anything; what has a dtype and a shape is named by them.

    Example:
        >>> brief({"a": 1, "b": 2}), brief(1 / 3), brief(list(range(100)))
        ("{'a': 1, 'b': 2}", '0.333333', 'list of 100')
    """
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{str(value.dtype).removeprefix('torch.')} {_shape(value.shape)}"
    if type(value).__name__ == "dtype":
        return str(value).removeprefix("torch.")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (Mapping, Sequence)) and not isinstance(value, str):
        return _container(value)
    return _one_line(repr(value))


def _container(value: Mapping[Any, Any] | Sequence[Any]) -> str:
    if len(value) > _MOST_ENTRIES:
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k!r}: {brief(v)}" for k, v in value.items()) + "}"
    inner = ", ".join(brief(item) for item in value)
    return f"[{inner}]" if isinstance(value, list) else f"({inner})"


def _shape(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))})"


def _one_line(text: str) -> str:
    first, _, rest = text.partition("\n")
    if len(first) > _MOST_CHARACTERS:
        return f"{first[: _MOST_CHARACTERS - 1]}…"
    return f"{first} …" if rest else first
