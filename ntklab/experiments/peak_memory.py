"""The time and the most memory that a cell has taken."""

import sys
import time
from typing import Any

import torch

from ntklab import accelerator


def taken_since(start: float, device: str) -> dict[str, Any]:
    """Seconds since `time.perf_counter()` said `start`, and `peak_memory`."""
    return {"seconds": time.perf_counter() - start, **peak_memory(device)}


def peak_memory(device: str) -> dict[str, int | str]:
    """Peak memory of this process up to now, and which peak it is.

    On a CPU it is the resident set of the whole process since its start (`getrusage`), so of
    several cells in one process a later one never shows less than an earlier one. On a GPU it is
    what torch's allocator held on that device at most since the cell began.

    Returns:
        `peak_memory_bytes` and `peak_memory_of`, "process" or the kind of device, e.g. "cuda".

    Example:
        >>> peak_memory("cpu")["peak_memory_of"]
        'process'
    """
    if accelerator.is_accelerator(device):
        return {
            "peak_memory_bytes": accelerator.peak_bytes(device),
            "peak_memory_of": torch.device(device).type,
        }
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return {"peak_memory_bytes": peak * unit, "peak_memory_of": "process"}
