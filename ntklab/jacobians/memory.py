"""How much memory a computation may use, and how many samples that lets through at a time."""

import os
import warnings
from collections.abc import Callable, Iterator

import torch

from ntklab import accelerator
from ntklab.host_memory import format_memory, free_memory, parse_memory

__all__ = [
    "MOST_BY_DEFAULT",
    "Progress",
    "chunk_size",
    "default_memory",
    "format_memory",
    "parse_memory",
    "shrinking",
    "spans",
]

# Chunks beyond this are no faster on any machine measured; they only crowd the neighbours.
MOST_BY_DEFAULT = 1 << 30

Progress = Callable[[int, int], None]


def default_memory(device: torch.device | str = "cpu") -> int:
    """A quarter of what is free on the device, at most 1 GiB on a CPU.

    >>> 0 < default_memory() <= MOST_BY_DEFAULT
    True
    """
    if accelerator.is_accelerator(device):
        return accelerator.free_bytes(device) // 4
    # Unused memory is less than what is free, and asked for in a tenth of the time.
    if _unused_memory() // 4 >= MOST_BY_DEFAULT:
        return MOST_BY_DEFAULT
    return min(free_memory() // 4, MOST_BY_DEFAULT)


def _unused_memory() -> int:
    """Bytes in no use at all; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0


def chunk_size(per_sample: int, memory: int, n_samples: int) -> int:
    """How many samples fit: at least 1, at most all.

    >>> chunk_size(per_sample=300, memory=1000, n_samples=50)
    3
    """
    return max(1, min(n_samples, memory // max(per_sample, 1)))


def spans(n_samples: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Consecutive (start, stop) that cover 0..n_samples.

    >>> list(spans(5, 2))
    [(0, 2), (2, 4), (4, 5)]
    """
    for start in range(0, n_samples, chunk):
        yield start, min(start + chunk, n_samples)


def shrinking(
    n_samples: int,
    chunk: int,
    compute: Callable[[int, int], None],
    progress: Progress | None = None,
) -> int:
    """Run `compute(start, stop)` over all samples; out of memory halves the chunk and says so.

    Args:
        n_samples: N.
        chunk: samples at a time to begin with.
        compute: fills in the part of a result for start..stop; may be called again for a part.
        progress: called with (done, N) after every chunk.

    Returns:
        The chunk that was used in the end.

    Example:
        >>> seen = []
        >>> shrinking(5, 3, lambda start, stop: seen.append((start, stop)))
        3
        >>> seen
        [(0, 3), (3, 5)]
    """
    start = 0
    while start < n_samples:
        stop = min(start + chunk, n_samples)
        try:
            compute(start, stop)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if chunk == 1 or not is_out_of_memory(error):
                raise
            chunk = max(1, chunk // 2)
            warnings.warn(f"out of memory: going on with {chunk} samples at a time.", stacklevel=2)
            accelerator.empty_cache()
            continue
        start = stop
        if progress is not None:
            progress(start, n_samples)
    return chunk


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, on any device.

    >>> is_out_of_memory(RuntimeError("not enough memory: you tried to allocate 10 bytes"))
    True
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)
