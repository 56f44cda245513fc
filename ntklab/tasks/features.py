"""Features of images by a frozen backbone, computed once and cached by content."""

import hashlib
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.errors import InputError
from ntklab.tasks.cache import prepare, read_tensors, tensor_bytes, write_tensors

Progress = Callable[[int, int], object]

_PLAIN = (int, float, str, bool, type(None), torch.dtype)


def _code_words(code: types.CodeType) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames}"
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):  # its repr would hold a memory address
            yield from _code_words(constant)
        else:
            yield repr(constant)


def _identity(backbone: nn.Module) -> Iterator[str]:
    """A module's computation apart from its tensors: classes, forward code, plain attributes."""
    for name, module in backbone.named_modules():
        kind = type(module)
        yield f"{name} {kind.__module__}.{kind.__qualname__} {module.extra_repr()}"
        code = getattr(module.forward, "__code__", None)
        if isinstance(code, types.CodeType):
            yield from _code_words(code)
        for key, value in sorted(vars(module).items()):
            if key != "training" and not key.startswith("_"):
                values = value if isinstance(value, (tuple, list)) else (value,)
                if all(isinstance(v, _PLAIN) for v in values):
                    yield f"{key}={value!r}"


def feature_hash(backbone: nn.Module, images: Tensor) -> str:
    """Name features by everything that decides them.

    SHA-256 over the images (shape, dtype, bytes), every parameter and buffer of the backbone
    (name, shape, dtype, bytes), and the identity of what it computes: classes, the code of each
    ``forward``, ``extra_repr`` and plain attributes of each submodule. Python objects that a
    forward reaches in another way (globals, closures) are outside the hash.

    Args:
        backbone: The module.
        images: What it is shown, any shape.

    Returns:
        64 hexadecimal digits, independent of device, chunks and training mode.

    Cost: one pass over the bytes of images and weights, about 1 GB/s.

    Example:
        >>> one, two = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> two.load_state_dict(one.state_dict())
        <All keys matched successfully>
        >>> x = torch.zeros(1, 2)
        >>> feature_hash(one, x) == feature_hash(two, x) != feature_hash(two, x + 1)
        True
    """
    digest = hashlib.sha256(b"ntklab features 1")
    tensors = [("images", images), *backbone.named_parameters(), *backbone.named_buffers()]
    for name, tensor in tensors:
        digest.update(f"\0{name} {tuple(tensor.shape)} {tensor.dtype}\0".encode())
        digest.update(tensor_bytes(tensor))
    for word in _identity(backbone):
        digest.update(f"\0{word}".encode())
    return digest.hexdigest()


@contextmanager
def _evaluating(backbone: nn.Module, device: torch.device) -> Iterator[torch.dtype]:
    """The backbone in eval mode on the device; its modes and its device come back afterwards."""
    modes = {module: module.training for module in backbone.modules()}
    tensors = [*backbone.parameters(), *backbone.buffers()]
    home = tensors[0].device if tensors else device
    dtypes = [t.dtype for t in tensors if t.is_floating_point()]
    try:
        with torch.no_grad():
            backbone.eval().to(device)
            yield dtypes[0] if dtypes else torch.float32
    finally:
        backbone.to(home)
        for module, mode in modes.items():
            module.training = mode


def _pooled(output: object, rows: int) -> Float[Tensor, "N d"]:
    if isinstance(output, Tensor) and output.ndim in (2, 4) and output.shape[0] == rows:
        flat = output if output.ndim == 2 else output.mean(dim=(2, 3))
        return flat.float().cpu()
    seen = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise InputError(
        f"the backbone gave {seen} for {rows} images: expected features of shape (N, d) or a "
        "feature map of shape (N, d, h, w)."
    )


def _compute(
    backbone: nn.Module, images: Tensor, batch: int, device: torch.device, report: Progress
) -> Tensor:
    chunks, done = [], 0
    with _evaluating(backbone, device) as dtype:
        for chunk in images.split(batch):
            chunks.append(_pooled(backbone(chunk.to(device, dtype)), len(chunk)))
            done += len(chunk)
            report(done, len(images))
    return torch.cat(chunks)


def _read(path: Path, rows: int) -> Tensor | None:
    """The cached features, or None where there are none or the file is damaged."""
    stored = read_tensors(path)
    features = None if stored is None else stored[0].get("features")
    return (
        features if features is not None and features.ndim == 2 and len(features) == rows else None
    )


def extract(
    backbone: nn.Module,
    images: Float[Tensor, "N ..."],
    *,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
    cache: Path | None = None,
    key: str | None = None,
    progress: Progress | None = None,
) -> Float[Tensor, "N d"]:
    """Features φ(x) of images by any torch module, without gradients and in evaluation mode.

    Args:
        backbone: Any module that gives (N, d), or (N, d, h, w), which is averaged over places.
            Its training modes and its device are restored afterwards.
        images: Images, usually (N, channels, H, W); converted to the backbone's dtype.
        batch_size: Images at a time; features do not depend on it beyond rounding.
        device: Where to compute.
        cache: Folder of cached features, or None for no cache. The file is
            ``<feature_hash>.safetensors``; a damaged one is computed anew.
        key: ``feature_hash(backbone, images)`` where the caller knows it already.
        progress: Called as ``progress(done, total)`` after each chunk, and once where the cache
            had the features.

    Returns:
        Features (N, d) in float32 on the CPU.

    Raises:
        InputError: If there are no images, ``batch_size`` is below 1, the backbone gives another
            shape, or the cache folder cannot be written.

    Example:
        >>> extract(nn.Flatten(), torch.ones(3, 1, 2, 2)).shape
        torch.Size([3, 4])
        >>> extract(nn.Identity(), torch.ones(3, 5, 2, 2)).shape
        torch.Size([3, 5])
    """
    if len(images) == 0 or batch_size < 1:
        raise InputError(
            f"cannot extract features of {len(images)} images in chunks of {batch_size}: both "
            "must be at least 1."
        )
    if cache is not None:
        prepare(cache)
    report: Progress = progress or (lambda done, total: None)
    path = cache / f"{key or feature_hash(backbone, images)}.safetensors" if cache else None
    known = _read(path, len(images)) if path else None
    if known is not None:
        report(len(images), len(images))
        return known
    features = _compute(backbone, images, batch_size, torch.device(device), report)
    if path:
        write_tensors(path, {"features": features})
    return features
