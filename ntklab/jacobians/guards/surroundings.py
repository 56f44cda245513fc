"""A computation that neither feels nor changes the modes of torch around it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

# The devices whose autocast a caller may have switched on.
_AUTOCAST_DEVICES = ("cpu", "cuda")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Gradients recorded, no inference mode and no autocast, whatever surrounds the call.

    Autocast would round the model to bfloat16: numbers are those of its parameters' dtype.

    Example:
        >>> with torch.no_grad(), undisturbed():
        ...     torch.is_grad_enabled()
        True
    """
    autocast = any(torch.is_autocast_enabled(device) for device in _AUTOCAST_DEVICES)
    if torch.is_grad_enabled() and not torch.is_inference_mode_enabled() and not autocast:
        yield
        return
    with ExitStack() as modes:
        if torch.is_inference_mode_enabled():
            modes.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            modes.enter_context(torch.enable_grad())
        for device in _AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                modes.enter_context(torch.autocast(device, enabled=False))
        yield


@contextmanager
def same_random_state(device: torch.device) -> Iterator[None]:
    """The random state of the CPU and of `device` is afterwards what it was.

    Example:
        >>> before = torch.get_rng_state()
        >>> with same_random_state(torch.device("cpu")):
        ...     _ = torch.rand(3)
        >>> torch.equal(torch.get_rng_state(), before)
        True
    """
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            yield
        return
    place = getattr(torch, device.type).current_device() if device.index is None else device.index
    with torch.random.fork_rng(devices=[place], device_type=device.type):
        yield


def without_graph(tensor: Tensor) -> Tensor:
    """The values alone; a copy where inference mode has made them unfit for a backward pass.

    Example:
        >>> with torch.inference_mode():
        ...     tensor = without_graph(torch.ones(2))
        >>> tensor.is_inference()
        False
    """
    if not tensor.is_inference():
        return tensor.detach()
    with undisturbed():
        return tensor.clone().detach()
