"""Memory, queue, random numbers and rounding of an accelerator.

All else in the package is the same on every device. torch keeps these by the kind of device, in
`torch.cuda` and modules like it (`torch.get_device_module`), and nothing else in the package names
one. A CPU answers too, with nothing to wait for and no memory of its own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

Device = torch.device | str

#: The environment variable that asks for TF32.
TF32 = "NTKLAB_TF32"

# They have no float64, in which spectra are taken, or no numbers at all.
_WITHOUT_FLOAT64 = ("mps", "meta")


def is_accelerator(device: Device) -> bool:
    """Whether a device is another than the CPU.

    >>> is_accelerator("cuda:0"), is_accelerator("cpu")
    (True, False)
    """
    return torch.device(device).type != "cpu"


def has_float64(device: Device) -> bool:
    """Whether numbers of 64 bits can be had there.

    >>> has_float64("mps"), has_float64("cuda")
    (False, True)
    """
    return torch.device(device).type not in _WITHOUT_FLOAT64


def first_accelerator() -> str | None:
    """The first CUDA device, if there is one.

    >>> first_accelerator() in (None, "cuda:0")
    True
    """
    return "cuda:0" if torch.cuda.is_available() else None


def count(device: Device) -> int:
    """How many devices of this kind torch sees; 0 for a kind that this torch was built without.

    >>> count("cpu")
    1
    """
    if not is_accelerator(device):
        return 1
    try:
        module = _module(device)
    except RuntimeError:
        return 0
    return int(module.device_count()) if module.is_available() else 0


def name(device: Device) -> str:
    """The name that the maker gave it, or the kind of device where torch knows none.

    >>> name("cpu")
    'cpu'
    """
    if not is_accelerator(device):
        return "cpu"
    return str(_module(device).get_device_name(device))


def synchronize(device: Device) -> None:
    """Wait until the device has done all that it was given.

    >>> synchronize("cpu")
    """
    if is_accelerator(device):
        _module(device).synchronize(device)


def free_bytes(device: Device) -> int:
    """Memory that is free on an accelerator, in bytes."""
    return int(_module(device).mem_get_info(device)[0])


def empty_cache() -> None:
    """Give back what the allocator of the accelerator keeps for later, so that larger pieces fit.

    >>> empty_cache()
    """
    present = torch.accelerator.current_accelerator()
    if present is not None:
        _module(present).empty_cache()


def peak_bytes(device: Device) -> int:
    """The most that tensors on an accelerator took since the last `reset_peak`, in bytes."""
    return int(_module(device).max_memory_allocated(device))


def reset_peak(device: Device) -> None:
    """Forget the most that tensors on an accelerator took so far."""
    _module(device).reset_peak_memory_stats(device)


def index(device: Device) -> int:
    """Which of its kind a device is; the one in use where its name does not say.

    >>> index("cuda:1")
    1
    """
    named = torch.device(device)
    return int(_module(device).current_device()) if named.index is None else named.index


def random_state(device: Device) -> Tensor:
    """The state of an accelerator's own random numbers, as bytes on the CPU."""
    state: Tensor = _module(device).get_rng_state(torch.device(device))
    return state


def set_random_state(state: Tensor, device: Device) -> None:
    """Put back a state that `random_state` gave."""
    _module(device).set_rng_state(state, torch.device(device))


@contextmanager
def same_random_state(device: Device) -> Iterator[None]:
    """The random numbers of the CPU and of `device` go on afterwards as if nothing were drawn.

    Example:
        >>> before = torch.get_rng_state()
        >>> with same_random_state("cpu"):
        ...     _ = torch.rand(3)
        >>> torch.equal(torch.get_rng_state(), before)
        True
    """
    if not is_accelerator(device):
        with torch.random.fork_rng(devices=[]):
            yield
        return
    with torch.random.fork_rng(devices=[index(device)], device_type=torch.device(device).type):
        yield


def seed(number: int, device: Device) -> None:
    """Seed the random numbers of the CPU, and of `device` where that is another.

    Example:
        >>> with same_random_state("cpu"):
        ...     seed(3, "cpu")
        ...     torch.initial_seed()
        3
    """
    torch.random.default_generator.manual_seed(number)
    if is_accelerator(device):
        with _current(device):
            _module(device).manual_seed(number)


def has_fused_optimizers(device: Device) -> bool:
    """Whether torch steps all parameters in one kernel there.

    >>> has_fused_optimizers("cpu")
    True
    """
    return torch.device(device).type in ("cpu", "cuda")


def tensor_float_asked() -> bool:
    """Whether NTKLAB_TF32=1 asks for products of float32 in TF32, with a significand of 10 bits."""
    return os.environ.get(TF32, "0") not in ("", "0")


def tensor_float(device: Device) -> bool | None:
    """Whether this package takes products of float32 in TF32 there; None where there is no TF32.

    >>> tensor_float("cpu") is None
    True
    """
    return tensor_float_asked() if torch.device(device).type == "cuda" else None


@contextmanager
def stated_precision() -> Iterator[None]:
    """Products and convolutions of float32 are taken in TF32 where that was asked for, else not.

    torch allows TF32 in convolutions on its own. Spectra and their error bounds are stated for the
    ε of float32 (2⁻²⁴), not for that of TF32 (2⁻¹¹). torch's settings come back afterwards. Where
    there is no CUDA device nothing is done, since every small kernel passes here.

    Example:
        >>> with stated_precision():
        ...     pass
    """
    if not torch.cuda.is_available():
        yield
        return
    settings = _tensor_float_settings()
    before = [getattr(home, word) for home, word, _ in settings]
    try:
        for home, word, values in settings:
            setattr(home, word, values[tensor_float_asked()])
        yield
    finally:
        for (home, word, _), value in zip(settings, before, strict=True):
            setattr(home, word, value)


def _tensor_float_settings() -> list[tuple[Any, str, tuple[object, object]]]:
    """Where torch keeps whether TF32 is allowed, with its words for no and yes.

    torch >= 2.9 has a setting for each kind of operation, and refuses to read the older ones once
    the newer have been set.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if not hasattr(cudnn, "conv"):
        return [(home, "allow_tf32", (False, True)) for home in (matmul, cudnn)]
    homes = (matmul, cudnn.conv, cudnn.rnn)
    return [(home, "fp32_precision", ("ieee", "tf32")) for home in homes]


def _module(device: Device) -> Any:
    """`torch.cuda` for a CUDA device, and so on."""
    return torch.get_device_module(torch.device(device))


@contextmanager
def _current(device: Device) -> Iterator[None]:
    """Calls that take no device mean this one."""
    manager = getattr(_module(device), "device", None)
    if manager is None:
        yield
        return
    with manager(torch.device(device)):
        yield
