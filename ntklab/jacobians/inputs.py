"""Inputs of a model as people have them: tensors, arrays, positional and keyword arguments."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader

from ntklab.arrays import inputs_in_order, tensor_of
from ntklab.errors import InputError
from ntklab.jacobians.guards.surroundings import without_graph

Inputs = Tensor | tuple[Any, ...] | Mapping[str, Any]
#: What people give; `as_inputs` makes `Inputs` of it.
InputsLike = Inputs | list[Any] | np.ndarray | DataLoader[Any]

_ACCEPTED = (
    "give a tensor (N, …), a numpy array, a tuple of positional arguments, a mapping of keyword "
    "arguments or a DataLoader"
)


def as_inputs(x: object, module: nn.Module) -> Inputs:
    """Inputs in the form that engines take: a tensor, a tuple or a dict of detached tensors.

    A DataLoader is read to its end, in memory; of pairs (inputs, targets) it gives the inputs.

    A tuple or list holds positional arguments, a mapping keyword arguments. What is no tensor in
    them (None, a flag) goes to every call as it is. Numpy arrays become tensors on the module's
    device; those of real numbers take its dtype, since numpy makes float64 unasked.

    Args:
        x: inputs with leading dimension N.
        module: the model that will take them.

    Raises:
        InputError: anything else; a meta, sparse or nested tensor; an array of objects; a
            DataLoader that shuffles.

    Example:
        >>> x = as_inputs([np.zeros((2, 3)), None], nn.Linear(3, 1))
        >>> x[0].dtype, x[0].shape, x[1]
        (torch.float32, torch.Size([2, 3]), None)
    """
    if isinstance(x, Tensor):
        return _plain(x)
    if isinstance(x, DataLoader):
        x = inputs_in_order(x)
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))

    def convert(leaf: object) -> object:
        if isinstance(leaf, np.ndarray):
            leaf = _from_numpy(leaf, like)
        return _plain(leaf) if isinstance(leaf, Tensor) else leaf

    if isinstance(x, (Tensor, np.ndarray)):
        return convert(x)  # type: ignore[return-value]
    if isinstance(x, Mapping):
        converted: Any = {str(name): pytree.tree_map(convert, value) for name, value in x.items()}
    elif isinstance(x, (tuple, list)):
        converted = tuple(pytree.tree_map(convert, value) for value in x)
        if converted and not _tensors(converted):
            kind = type(pytree.tree_leaves(converted)[0]).__name__
            raise InputError(f"inputs are a {type(x).__name__} of {kind}: {_ACCEPTED}.")
    else:
        raise InputError(f"inputs are of type {type(x).__name__}: {_ACCEPTED}.")
    return converted


def _from_numpy(array: np.ndarray, like: Tensor) -> Tensor:
    return tensor_of(array).to(like.device, like.dtype if array.dtype.kind == "f" else None)


def _plain(tensor: Tensor) -> Tensor:
    """Without a graph of its own, and usable in a graph of ours."""
    if tensor.is_meta:
        raise InputError("inputs hold a tensor on the meta device: give one with values.")
    if tensor.is_nested or tensor.layout is not torch.strided:
        kind = "nested tensor" if tensor.is_nested else f"tensor stored as {tensor.layout}"
        raise InputError(f"inputs hold a {kind}: give a dense one (`to_dense()`, or padding).")
    return without_graph(tensor)


def call_arguments(x: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a call of the model.

    >>> call_arguments({"ids": 3}), call_arguments((1, 2))
    (((), {'ids': 3}), ((1, 2), {}))
    """
    if isinstance(x, Mapping):
        return (), dict(x)
    return (x, {}) if isinstance(x, tuple) else ((x,), {})


def count_samples(x: Inputs) -> int:
    """N, the length of the leading dimension.

    >>> count_samples({"ids": torch.zeros(4, 7)})
    4
    """
    return int(_leaves(x)[0].shape[0])


def take(x: Inputs, start: int, stop: int) -> Inputs:
    """Samples start..stop of the inputs."""
    return _on_tensors(lambda tensor: tensor[start:stop], x)


def gather(x: Inputs, samples: list[int]) -> Inputs:
    """The samples of these numbers, in this order."""
    return _on_tensors(lambda tensor: tensor[samples], x)


def first_samples(x: Inputs, count: int) -> Inputs:
    """The first `count` samples of the inputs."""
    return take(x, 0, count)


def one_sample(x: Inputs) -> Inputs:
    """A sample without its leading dimension as a batch of one."""
    return _on_tensors(lambda tensor: tensor.unsqueeze(0), x)


def sample_axes(x: Inputs) -> Any:
    """The dimension of the samples for `torch.func.vmap`: 0 for tensors, None for other values.

    >>> sample_axes((torch.zeros(4), None))
    (0, None)
    """
    return pytree.tree_map(lambda leaf: 0 if isinstance(leaf, Tensor) else None, x)


def shapes_of(x: Inputs) -> str:
    """Shapes of the tensors among the inputs, for a sentence.

    >>> shapes_of((torch.zeros(4, 2), torch.zeros(4)))
    '(4, 2) and (4,)'
    """
    return " and ".join(str(tuple(leaf.shape)) for leaf in _leaves(x))


def check_finite(x: Inputs) -> None:
    """Refuse inputs that are empty or hold NaN or infinity.

    Raises:
        InputError: how many entries are bad and in which sample the first one is, or inputs that
            do not agree on the number of samples.
    """
    leaves = _leaves(x)
    for leaf in leaves:
        if leaf.ndim == 0 or leaf.shape[0] == 0:
            raise InputError(f"inputs have shape {tuple(leaf.shape)}: give at least one sample.")
        if leaf.shape[0] != leaves[0].shape[0]:
            raise InputError(
                f"inputs hold {leaves[0].shape[0]} and {leaf.shape[0]} samples: every tensor needs "
                "the same leading dimension."
            )
        if (leaf.is_floating_point() or leaf.is_complex()) and not _all_finite(leaf):
            bad = ~torch.isfinite(leaf.reshape(leaf.shape[0], -1))
            raise InputError(
                f"inputs hold {int(bad.sum())} NaN or infinite entries, the first in sample "
                f"{int(bad.any(1).nonzero()[0])}: clean them before asking for a kernel."
            )


def _all_finite(values: Tensor) -> bool:
    # NaN and infinity survive a sum, which is one pass; a sum that overflows asks every entry.
    return math.isfinite(values.sum().item()) or bool(torch.isfinite(values).all())


def _leaves(x: Inputs) -> list[Tensor]:
    leaves = _tensors(x)
    if not leaves:
        raise InputError(f"inputs hold no tensor: {_ACCEPTED}.")
    return leaves


def _tensors(x: object) -> list[Tensor]:
    if isinstance(x, Tensor):
        return [x]
    return [leaf for leaf in pytree.tree_leaves(x) if isinstance(leaf, Tensor)]


def _on_tensors(change: Any, x: Inputs) -> Inputs:
    if isinstance(x, Tensor):
        return change(x)
    return pytree.tree_map(lambda leaf: change(leaf) if isinstance(leaf, Tensor) else leaf, x)
