"""A computation that neither feels nor changes the modes of torch around it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from ntklab.accelerator import stated_precision

# The devices whose autocast a caller may have switched on.
_AUTOCAST_DEVICES = ("cpu", "cuda")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Gradients recorded, no inference mode, no autocast and no TF32, whatever surrounds the call.

    Autocast would round the model to bfloat16 and TF32 its products to ten bits: numbers are those
    of its parameters' dtype. NTKLAB_TF32=1 allows TF32 (`ntklab.accelerator`).

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
        modes.enter_context(stated_precision())
        for device in _AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                modes.enter_context(torch.autocast(device, enabled=False))
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
