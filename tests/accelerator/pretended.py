"""A pretended accelerator: a device of torch's that keeps its numbers in memory of the CPU.

torch >= 2.9 lets a device be written in Python (`torch.utils.backend_registration`, dispatch key
PrivateUse1). A tensor of this one says `device='pretend:0'`, and its storage points to bytes that
are all ones (NaN as floats), while the numbers lie in a tensor of the CPU that only the kernels
below look at. Each operation that reaches the device is computed by the CPU's kernel on those; so
autograd, `torch.func` and modules run over it as over any other device, above these kernels.

What a run on it proves: no operation met tensors of two devices, no tensor was handed to numpy
without `.cpu()`, no generator was of another device, and nothing read the memory of a device
tensor past torch. The values are right where they are compared with a CPU run. Operations, bytes
held and waits of the host (values that were read back) are counted as they are, so that "no wait in
a step" is a fact about the code and not about this device.

It is stricter than CUDA in one thing: an index on the CPU into a tensor of the device is refused,
where CUDA copies it over and waits. As on CUDA, a CPU tensor of no dimension may meet others.

What it does not prove: anything about kernels of CUDA (their precision, their determinism, that an
operation has one at all), streams and races between them, real limits of memory, autocast, TF32,
fused attention (the math form is taken), cuDNN's LSTM, or speed.
"""

import weakref
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

NAME = "pretend"
LEAST_TORCH = (2, 9)
_FREE = 1 << 30

# Each needs a value on the host, so CUDA waits there until the device has caught up.
_READS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique", "_unique2")
_READS += ("is_set_to", "bincount", "repeat_interleave.Tensor")
_STATE = SimpleNamespace(device=None, libraries=[])
_CPU_KEY = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
_CLONE = torch.UntypedStorage.clone
_set_storage = torch.ops.aten.set_.source_Storage_storage_offset


class PretendedDevice:
    """What `torch.pretend` is: the module of the device, as `torch.cuda` is one.

    Attributes:
        generator: of its random numbers.
        waits: how often the host read a value of the device.
        operations: operations so far, by name.
        total, allocated, peak: bytes it has, holds, and held at most.
    """

    def __init__(self) -> None:
        self.generator = torch.Generator()
        self.waits, self.operations = 0, {}
        self.total, self.allocated, self.peak = _FREE, 0, 0

    # What torch asks of a device's module.
    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        self.generator.manual_seed(seed)

    manual_seed = manual_seed_all

    def get_rng_state(self, device=None) -> Tensor:
        return self.generator.get_state()

    def set_rng_state(self, state: Tensor, device=None) -> None:
        self.generator.set_state(state)

    # What only an accelerator has.
    def get_device_name(self, device=None) -> str:
        return "pretended accelerator"

    def synchronize(self, device=None) -> None:
        self.waits += 1

    def empty_cache(self) -> None:
        self.operations["empty_cache"] = self.operations.get("empty_cache", 0) + 1

    def mem_get_info(self, device=None) -> tuple[int, int]:
        return self.total - self.allocated, self.total

    def memory_allocated(self, device=None) -> int:
        return self.allocated

    def max_memory_allocated(self, device=None) -> int:
        return self.peak

    def reset_peak_memory_stats(self, device=None) -> None:
        self.peak = self.allocated

    def hold(self, size: int) -> None:
        if self.allocated + size > self.total:
            raise torch.OutOfMemoryError("pretended device out of memory")
        self.allocated += size
        self.peak = max(self.peak, self.allocated)

    def free(self, size: int) -> None:
        self.allocated -= size


def pretended() -> torch.device:
    """The device; registered with torch at the first call. Skips where torch is too old for it."""
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < LEAST_TORCH:
        pytest.skip(f"torch {torch.__version__} has no devices in Python: 2.9 does")
    if _STATE.device is None:
        from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

        _setup_privateuseone_for_python_backend(rename=NAME, backend_module=PretendedDevice())
        _register()
        _STATE.device = torch.device(NAME, 0)
    return _STATE.device


def module() -> PretendedDevice:
    """The module of the device, with its counters."""
    return torch.get_device_module(pretended())


# The storage on the device of each storage in memory, as long as either is used.
_STORAGES: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


def _on_device(host: Tensor) -> Tensor:
    """A tensor of the device whose numbers are `host`'s; views of one storage share one."""
    memory = host.untyped_storage()
    storage = _STORAGES.get(memory._cdata)
    if storage is None:
        storage = _new_storage(memory)
    tensor = torch._C._acc.create_empty_tensor([0], host.dtype)
    return _point(tensor, storage, host)


def _new_storage(memory: torch.UntypedStorage) -> torch.UntypedStorage:
    size = memory.nbytes()
    torch.pretend.hold(size)
    poison = torch.full((max(size, 1),), 255, dtype=torch.uint8)
    storage = torch._C._construct_storage_from_data_pointer(
        poison.data_ptr() if size else 0, torch.device(NAME, 0), size
    )
    # The Python object of a storage lives as long as the storage, and so do its attributes.
    storage.memory, storage.poison = memory, poison
    weakref.finalize(storage, torch.pretend.free, size)
    _STORAGES[memory._cdata] = storage
    return storage


def _point(tensor: Tensor, storage: torch.UntypedStorage, like: Tensor) -> Tensor:
    place = like.storage_offset(), like.shape, like.stride()
    return _set_storage.redispatch(_CPU_KEY, tensor, storage, *place)


def _set(tensor: Tensor, storage: torch.UntypedStorage, offset=0, size=None, stride=()) -> Tensor:
    """`Tensor.set_`; what it does to sizes is the CPU's kernel, which reads no numbers."""
    if size is None:
        size, stride = (storage.nbytes() // tensor.element_size(),), (1,)
    return _set_storage.redispatch(_CPU_KEY, tensor, storage, offset, size, stride)


def _clone_storage(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    """`copy.deepcopy` copies storages; the one of torch asks an allocator in C++ for memory."""
    if hasattr(storage, "memory"):
        return _new_storage(_CLONE(storage.memory))
    return _CLONE(storage)


def _in_memory(tensor: Tensor) -> Tensor:
    host = torch.empty(0, dtype=tensor.dtype)
    if (memory := getattr(tensor.untyped_storage(), "memory", None)) is None:
        return host.reshape(tensor.shape)
    return host.set_(memory, tensor.storage_offset(), tensor.shape, tensor.stride())


def _fallback(op, *args, **kwargs):
    """Any operation without a kernel of its own: the CPU's, on what lies in memory."""
    known = _declared(op)
    torch.pretend.operations[known.name] = torch.pretend.operations.get(known.name, 0) + 1
    torch.pretend.waits += known.reads
    pairs = {}
    args = [_operand(known.name, value, pairs) for value in args]
    kwargs = {word: _operand(known.name, value, pairs) for word, value in kwargs.items()}
    for place in known.tensors:
        if place < len(args):
            args[place] = _number_as_tensor(args[place])
    if known.draws:
        kwargs["generator"] = torch.pretend.generator
    result = op(*args, **kwargs)
    for tensor, host, shape, stride in pairs.values():
        if (host.shape, host.stride()) != (shape, stride):
            _resize(tensor, host)
    return _result(result, pairs)


@cache
def _declared(op) -> SimpleNamespace:
    """What an operation's schema says of it."""
    name = str(op).removeprefix("aten.").removesuffix(".default")
    arguments = op._schema.arguments
    return SimpleNamespace(
        name=name,
        reads=name in _READS or name.split(".")[0] in _READS,
        draws="generator" in {argument.name for argument in arguments},
        tensors=[place for place, one in enumerate(arguments) if str(one.type) == "Tensor"],
    )


def _number_as_tensor(value):
    """Numbers that a tensor is multiplied with arrive bare; some operations want a tensor."""
    if isinstance(value, (bool, int, float)):
        return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)
    return value


def _ours(value) -> bool:
    return isinstance(value, Tensor) and value.device.type == NAME


def _operand(name: str, value, pairs: dict[int, tuple]):
    """What the CPU's kernel gets; `pairs` keeps which tensor stands behind it."""
    if isinstance(value, Tensor):
        if value.device.type == NAME:
            host = _in_memory(value)
            pairs[id(host)] = value, host, host.shape, host.stride()
            return host
        if value.dim():
            raise RuntimeError(
                f"{name}: expected all tensors to be on the same device, but found {NAME}:0 and "
                f"{value.device} (of shape {tuple(value.shape)})"
            )
    elif isinstance(value, (list, tuple)):
        return [_operand(name, one, pairs) for one in value]
    elif isinstance(value, torch.device):
        return torch.device("cpu")
    elif isinstance(value, torch.Generator):
        raise RuntimeError(f"{name}: expected a '{NAME}' generator but found '{value.device}'")
    return value


def _result(value, pairs: dict[int, tuple]):
    if isinstance(value, Tensor):
        return pairs[id(value)][0] if id(value) in pairs else _on_device(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_result(one, pairs) for one in value)
    return value


def _resize(tensor: Tensor, host: Tensor) -> None:
    """An `out=` of another shape: the CPU's kernel has given it one, and memory for it."""
    memory = host.untyped_storage()
    old = tensor.untyped_storage()
    if memory.nbytes() > old.nbytes():
        _STORAGES.pop(memory._cdata, None)
        _point(tensor, _new_storage(memory), host)
    else:
        _point(tensor, old, host)


def _empty(size, *, dtype=None, memory_format=None, **_) -> Tensor:
    layout = torch.contiguous_format if memory_format is None else memory_format
    return _on_device(torch.empty(size, dtype=dtype, memory_format=layout))


def _empty_strided(size, stride, *, dtype=None, **_) -> Tensor:
    return _on_device(torch.empty_strided(size, stride, dtype=dtype))


def _zeros(size, *, dtype=None, **_) -> Tensor:
    return _on_device(torch.zeros(size, dtype=dtype))


def _copy(target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """The one operation that may cross between devices; to the host it waits."""
    torch.pretend.waits += _ours(source) and not _ours(target)
    target, source = (_in_memory(t) if _ours(t) else t for t in (target, source))
    target.copy_(source)
    return target


def _copy_(target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    _copy(target, source)
    return target


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    _copy(target, source)
    return target


def _convolution(*args):
    return _fallback(torch.ops.aten.convolution.default, *args)


def _convolution_backward(gradient, x, weight, stride, padding, dilation, transposed, *rest):
    output_padding, groups, wanted = rest
    # The CPU's kernel wants the bias' size where its gradient is asked for.
    channels = weight.shape[1] * groups if transposed else weight.shape[0]
    settings = stride, padding, dilation, transposed, output_padding, groups, wanted
    kernel = torch.ops.aten.convolution_backward.default
    return _fallback(kernel, gradient, x, weight, [channels], *settings)


def _math_attention(*args, **kwargs) -> int:
    return 0  # SDPBackend.MATH: the fused kernels have names of other devices


def _register() -> None:
    """Kernels that the device must have itself; `_fallback` is all others."""
    everything = torch.library.Library("_", "IMPL")
    everything.fallback(_fallback, "PrivateUse1")
    aten = torch.library.Library("aten", "IMPL")
    kernels = {
        "empty.memory_format": _empty,
        "empty_strided": _empty_strided,
        "_efficientzerotensor": _zeros,
        "copy_": _copy_,
        "_copy_from": _copy_from,
        "_copy_from_and_resize": _copy_from,
        "convolution_overrideable": _convolution,
        "convolution_backward_overrideable": _convolution_backward,
        "_fused_sdp_choice": _math_attention,
        "set_.source_Storage": _set,
        "set_.source_Storage_storage_offset": _set,
    }
    for name, kernel in kernels.items():
        aten.impl(name, kernel, "PrivateUse1")
    torch.UntypedStorage.clone = _clone_storage
    _STATE.libraries += [everything, aten]  # a library that is collected takes its kernels along
