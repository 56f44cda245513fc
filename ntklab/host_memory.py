"""The memory of this machine: what is free, amounts in words, and a refusal before an allocation.

A system may grant more memory than it has and end the process later, so sizes are compared with
what is free before anything is allocated.
"""

import math
import os
import re

from ntklab.errors import InputError

_STEPS = ("B", "KiB", "MiB", "GiB")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def parse_memory(text: str | int) -> int:
    """Bytes of an amount like "4GiB", "512MB" or a plain number of bytes.

    Raises:
        InputError: not an amount, or not positive.

    Example:
        >>> parse_memory("1.5GiB"), parse_memory("200MB"), parse_memory(1000)
        (1610612736, 200000000, 1000)
    """
    match = re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?I?)B?\s*", str(text).upper())
    try:
        amount = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    except (ValueError, OverflowError):
        amount = 0
    if amount < 1:
        raise InputError(f"memory '{text}' is no amount: write it like 4GiB or 512MB.")
    return amount


def format_memory(amount: float) -> str:
    """An amount for people.

    >>> format_memory(1610612736)
    '1.5 GiB'
    """
    for unit in _STEPS:
        if amount < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def enough_memory(amount: float) -> str:
    """The amount rounded up, as an option takes it: no less than what is needed.

    >>> enough_memory(18_000), enough_memory(5 * 2**20 + 1), enough_memory(100)
    ('18KiB', '6MiB', '1KiB')
    """
    for step, unit in ((2**30, "GiB"), (2**20, "MiB")):
        if amount > 4 * step:
            return f"{math.ceil(amount / step)}{unit}"
    return f"{max(1, math.ceil(amount / 2**10))}KiB"


def free_memory() -> int:
    """Bytes that a new allocation can have without driving others out.

    >>> free_memory() > 0
    True
    """
    try:
        with open("/proc/meminfo") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    # Systems without /proc name only what is installed: take half of it for free.
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def refuse_beyond_memory(what: str, *size: int, itemsize: int = 8) -> None:
    """Refuse an array that this machine cannot hold, before it is allocated.

    Args:
        what: the array in words.
        size: its dimensions.
        itemsize: bytes of a number.

    Raises:
        InputError: naming the size, what it takes and what is free.

    Example:
        >>> refuse_beyond_memory("a factor", 4, 512)
        >>> refuse_beyond_memory("a factor", 10**9, 10**9)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ntklab.errors.InputError: a factor of 1000000000 × 1000000000 numbers takes 7275957.6 TiB...
    """
    needed, free = itemsize * math.prod(size), free_memory()
    if needed > free:
        raise InputError(
            f"{what} of {' × '.join(map(str, size))} numbers takes {format_memory(needed)}, more "
            f"than the {format_memory(free)} that are free: choose smaller sizes."
        )
