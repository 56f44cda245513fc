"""Models whose dtype is float64 and whose code goes through a coarser one: which, and without it.

The norms of many language models compute in float32 whatever the model's dtype. Rows of such a
model look like float64 and are good to float32.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


def single_inside(model: nn.Module, run: Callable[[], object]) -> tuple[str, ...]:
    """Kinds of modules that turn float64 numbers into a coarser dtype on the way.

    Args:
        model: any module.
        run: calls it, on one sample.

    Returns:
        Names of classes, in order; none for a model whose own dtype is not float64.

    Cost: the one call.

    Example:
        >>> class Coarse(nn.Linear):
        ...     def forward(self, input):
        ...         return super().forward(input.float().double())
        >>> model, x = Coarse(2, 1).double(), torch.ones(1, 2, dtype=torch.float64)
        >>> single_inside(model, lambda: model(x))
        ('Coarse',)
        >>> with whole_float64():
        ...     single_inside(model, lambda: model(x))
        ()
    """
    dtypes = {p.dtype for p in model.parameters() if p.is_floating_point()}
    if torch.float64 not in dtypes:
        return ()
    running: list[nn.Module] = []
    names: dict[str, None] = {}
    handles = []
    for part in model.modules():
        handles.append(part.register_forward_pre_hook(lambda m, _: running.append(m)))
        handles.append(part.register_forward_hook(lambda *_: running.pop() and None))
    try:
        with torch.no_grad(), _Watch(lambda: names.update({type(running[-1]).__name__: None})):
            run()
    finally:
        for handle in handles:
            handle.remove()
    return tuple(names)


def goes_coarse(run: Callable[[], object]) -> bool:
    """Whether a call turns float64 numbers into a coarser dtype on the way.

    Example:
        >>> x = torch.ones(2, dtype=torch.float64)
        >>> goes_coarse(lambda: x.float() + 1), goes_coarse(lambda: x + 1)
        (True, False)
    """
    seen: list[bool] = []
    with torch.no_grad(), _Watch(lambda: seen.append(True)):
        run()
    return bool(seen)


class _Watch(TorchDispatchMode):
    """Calls `tell` wherever an operation turns float64 numbers into a coarser dtype."""

    def __init__(self, tell: Callable[[], object]) -> None:
        super().__init__()
        self.tell = tell

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        # A float64 number beside a float32 tensor loses nothing that torch's promotion keeps.
        given = any(_is_float64(value) and (k == 0 or value.ndim) for k, value in enumerate(args))
        if given and isinstance(result, Tensor) and _is_coarse(result.dtype):
            self.tell()
        return result


class whole_float64(TorchFunctionMode):
    """A context in which float64 numbers stay float64 where a model's code asks for less.

    `x.float()`, `x.to(torch.float32)`, `softmax(x, dtype=torch.float32)` and their kin leave a
    float64 x as it is, and `torch.zeros` without a dtype makes float64; everything else is as
    without it. It holds for code that runs in this thread, inside of `torch.func`'s transforms too.

    Example:
        >>> x = torch.ones(2, dtype=torch.float64)
        >>> with whole_float64():
        ...     print(x.float().dtype, x.softmax(0, dtype=torch.float32).dtype)
        torch.float64 torch.float64
    """

    def __repr__(self) -> str:
        return "whole_float64()"

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call `func` with every coarser dtype that is asked of a float64 tensor replaced."""
        kwargs = kwargs or {}
        if func is torch.zeros and kwargs.get("dtype") is None:
            # A model fills them with its own numbers; torch's default would not take float64 ones.
            return func(*args, **{**kwargs, "dtype": torch.float64})
        if func is Tensor.__setitem__ and _is_float64(args[2]) and _is_coarse(args[0].dtype):
            return func(args[0], args[1], args[2].to(args[0].dtype))  # as without it
        given = args[0] if args else kwargs.get("input")
        if not _is_float64(given):
            return func(*args, **kwargs)
        if func in _SHORTENED:
            return given
        if func in _LIKE and len(args) > 1 and isinstance(args[1], Tensor):
            other = args[1]
            kept = torch.float64 if _is_coarse(other.dtype) else other.dtype
            return func(given, other.to(kept), *args[2:], **kwargs)
        return func(*map(_kept, args), **{name: _kept(value) for name, value in kwargs.items()})


_SHORTENED = (Tensor.float, Tensor.half, Tensor.bfloat16)
_LIKE = (Tensor.to, Tensor.type_as)


def _is_float64(value: object) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.float64


def _is_coarse(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point and dtype != torch.float64


def _kept(value: Any) -> Any:
    return torch.float64 if isinstance(value, torch.dtype) and _is_coarse(value) else value
