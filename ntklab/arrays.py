"""Numpy arrays and DataLoaders where tensors are taken."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, RandomSampler

from ntklab.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")


def takes_arrays(function: Callable[P, R]) -> Callable[P, R]:
    """A function of tensors that takes numpy arrays in their place, also inside lists and dicts.

    Example:
        >>> @takes_arrays
        ... def total(values: Tensor) -> float:
        ...     return float(values.sum())
        >>> total(np.ones(3)), total(torch.ones(3))
        (3.0, 3.0)
    """

    @wraps(function)
    def taken(*args: P.args, **kwargs: P.kwargs) -> R:
        positional: Any = tuple(_converted(value) for value in args)
        named: Any = {name: _converted(value) for name, value in kwargs.items()}
        return function(*positional, **named)

    return taken


def tensor_of(array: np.ndarray) -> Tensor:
    """A numpy array as a tensor of the same dtype, copied where torch cannot share its memory.

    Args:
        array: numbers or truth values, any shape.

    Raises:
        InputError: an array of objects or text.

    Example:
        >>> tensor_of(np.arange(3)[::-1]).tolist()
        [2, 1, 0]
    """
    if array.dtype.kind not in "biufc":
        raise InputError(
            f"a numpy array of {array.dtype} holds no numbers: give numbers, e.g. "
            "array.astype(float)."
        )
    # A copy where torch would warn (read-only) or refuse (negative strides, foreign byte order).
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("=")))


def _converted(value: object) -> object:
    if isinstance(value, np.ndarray):
        return tensor_of(value)
    # Exact types: a named tuple or a subclass of dict is somebody's value, not a container.
    if type(value) in (list, tuple) and any(isinstance(v, np.ndarray) for v in value):  # type: ignore[attr-defined]
        return type(value)(_converted(item) for item in value)  # type: ignore[attr-defined, call-arg]
    if isinstance(value, Mapping) and any(isinstance(v, np.ndarray) for v in value.values()):
        return {name: _converted(item) for name, item in value.items()}
    return value


def all_batches(loader: "DataLoader[Any]") -> tuple[Any, Any]:
    """Every batch of a loader, one behind the other: inputs, and targets where it has them.

    Args:
        loader: of pairs (inputs, targets), of inputs alone, or of mappings, which are inputs.

    Returns:
        Inputs, as the batches have them (a tensor, a mapping), and targets or None; in memory.

    Raises:
        InputError: no batch, batches of more than two parts, or samples of several shapes.

    Example:
        >>> pairs = torch.utils.data.TensorDataset(torch.eye(3), torch.arange(3))
        >>> x, y = all_batches(DataLoader(pairs, batch_size=2))
        >>> x.shape, y.tolist()
        (torch.Size([3, 3]), [0, 1, 2])
    """
    batches = [_parts(batch) for batch in loader]
    if not batches:
        raise InputError("the DataLoader holds no batch: give at least one sample.")
    inputs, targets = zip(*batches, strict=True)
    return _joined(inputs), None if targets[0] is None else _joined(targets)


def inputs_in_order(loader: "DataLoader[Any]") -> Any:
    """The inputs of a loader whose order is known: rows of a kernel must belong to a sample.

    Raises:
        InputError: a loader that shuffles, or as `all_batches`.
    """
    if isinstance(loader.sampler, RandomSampler):
        raise InputError(
            "the DataLoader shuffles, so that rows would belong to no known sample: give one with "
            "shuffle=False."
        )
    return all_batches(loader)[0]


def _parts(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, (tuple, list)):
        return batch, None
    if len(batch) > 2:
        raise InputError(
            f"the DataLoader's batches have {len(batch)} parts: give pairs (inputs, targets), "
            "inputs alone, or a mapping of keyword arguments."
        )
    return batch[0], batch[1] if len(batch) == 2 else None


def _joined(parts: Any) -> Any:
    try:
        return pytree.tree_map(lambda *leaves: torch.cat(leaves), *parts)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"the DataLoader's batches cannot be put one behind the other ({error}): give samples "
            "of one shape."
        ) from error
