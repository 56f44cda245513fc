"""Which functions ran while a tensor of the device was in their hands."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType

import torch

_DEEP = 4  # a dataclass that holds modules, whose dictionaries hold tensors


@contextmanager
def watched(functions: Mapping[str, Callable], device: torch.device) -> Iterator[dict[str, bool]]:
    """Note the functions that are called, and whether with a tensor of the device.

    An argument counts if it is such a tensor, holds one (containers, attributes, parameters of a
    module), or names the device. Of a decorated function the one inside is watched.

    Args:
        functions: by name.
        device: whose tensors count.
    """
    waiting: dict[CodeType, str] = {inspect.unwrap(f).__code__: n for n, f in functions.items()}
    called: dict[str, bool] = {}

    def see(frame: FrameType, event: str, _) -> None:
        if event == "call" and (name := waiting.get(frame.f_code)) is not None:
            called[name] = any(_holds(value, device, _DEEP) for value in _arguments(frame))
            if called[name]:
                del waiting[frame.f_code]

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        yield called
    finally:
        sys.setprofile(before)


def _arguments(frame: FrameType) -> list[object]:
    count = frame.f_code.co_argcount + frame.f_code.co_kwonlyargcount
    return [frame.f_locals[name] for name in frame.f_code.co_varnames[:count]]


def _holds(value: object, device: torch.device, deep: int) -> bool:
    if isinstance(value, torch.Tensor):
        return value.device == device
    if isinstance(value, (str, torch.device)):
        return str(value) == str(device)
    if deep == 0 or isinstance(value, (int, float, type, type(None))):
        return False
    if isinstance(value, dict):
        return any(_holds(one, device, deep - 1) for one in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds(one, device, deep - 1) for one in value)
    return any(_holds(one, device, deep - 1) for one in getattr(value, "__dict__", {}).values())
