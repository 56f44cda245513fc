"""How far apart rounding puts two ways to one number, and where they are further apart."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ntklab import accelerator

# TensorFloat-32, in which a GPU may multiply float32 numbers, keeps ten bits.
_TENSOR_FLOAT_EPS = 2.0**-10
# What is off by half is wrong in any dtype.
_MOST = 0.5


def tolerance(dtype: torch.dtype, device: torch.device) -> float:
    """The relative distance beyond which two computations differ by more than rounding: 4 √ε.

    Rounding of a backward pass is some tens or hundreds of ε; it was below 1e-12 in float64 and
    1e-5 in float32 in every model tried. Errors of a rule were 0.05 or more. √ε lies between,
    half of the digits from both; the factor is for bfloat16, where these are few.

    Example:
        >>> cpu = torch.device("cpu")
        >>> tolerance(torch.float64, cpu) < 1e-7, tolerance(torch.float32, cpu) < 2e-3
        (True, True)
    """
    return min(4 * _epsilon(dtype, device) ** 0.5, _MOST)


def noise_floor(dtype: torch.dtype, device: torch.device) -> float:
    """The rounding of a value that is zero, relative to the terms that cancel in it: 1000 ε.

    A bias before a normalization has the gradient 0 and a computed one of some ε of the others'.
    """
    return min(1000 * _epsilon(dtype, device), tolerance(dtype, device))


def coarsest_dtype(tensors: Iterable[Tensor]) -> torch.dtype:
    """The dtype of least precision among tensors of real numbers; it sets a gradient's rounding.

    >>> coarsest_dtype([torch.zeros(1), torch.zeros(1, dtype=torch.bfloat16)])
    torch.bfloat16
    """
    kinds = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    return max(kinds, key=lambda kind: torch.finfo(kind).eps)


def _epsilon(dtype: torch.dtype, device: torch.device) -> float:
    eps = torch.finfo(dtype).eps
    rounded = accelerator.tensor_float(device) and dtype != torch.float64
    return max(eps, _TENSOR_FLOAT_EPS) if rounded else eps


@dataclass(frozen=True)
class Disagreement:
    """One number that an engine and the reference put further apart than rounding does.

    Attributes:
        where: the number in words.
        value: by the engine.
        wanted: by the reference.
    """

    where: str
    value: float
    wanted: float

    def __str__(self) -> str:
        return f"{self.where} is {self.value:.6g} by it and {self.wanted:.6g} by 'loop'"


def worst_entry(
    values: Tensor, wanted: Tensor, allowed: Tensor, name: Callable[..., str]
) -> Disagreement | None:
    """The entry furthest beyond what is allowed, if any; NaN for a number is beyond everything.

    Args:
        values: in question.
        wanted: the reference, of the same shape.
        allowed: absolute distances, broadcast to that shape.
        name: an entry's name in words from its indices.

    Example:
        >>> zero = torch.zeros(2)
        >>> str(worst_entry(torch.tensor([0.1, 0.5]), zero, torch.tensor(0.2), "entry {}".format))
        "entry 1 is 0.5 by it and 0 by 'loop'"
    """
    if values.shape != wanted.shape:
        where = f"the shape {tuple(values.shape)} instead of {tuple(wanted.shape)}; its size"
        return Disagreement(where, values.numel(), wanted.numel())
    wanted = wanted.to(values)
    beyond = (values - wanted).abs() - allowed.to(values)
    # Equal infinities, and NaN on both sides, are the model's own.
    beyond[(values == wanted) | (values.isnan() & wanted.isnan())] = -1
    beyond = beyond.nan_to_num(nan=float("inf"))
    if not bool((beyond > 0).any()):
        return None
    place = tuple(int(i) for i in torch.unravel_index(beyond.argmax(), beyond.shape))
    return Disagreement(name(*place), float(values[place]), float(wanted[place]))
