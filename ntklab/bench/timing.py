"""Times of several computations that take turns, so that a busy machine slows all alike."""

import gc
import math
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

from ntklab import accelerator

Name = TypeVar("Name", bound=Hashable)

#: Seconds for which a brief run is repeated: what it costs within a sweep, as the floor's does.
SETTLE = 0.25

# The first run of anything fetches pages and builds tables; a run this long hides that.
_COLD_MATTERS_BELOW = 2.0


# More repetitions within a turn say nothing new.
_MOST_REPETITIONS = 15


@dataclass(frozen=True)
class Timing:
    """Wall times of one computation, in seconds, in the order of its turns.

    Attributes:
        seconds: of each turn.
        first: of each turn's first run, for which memory and caches are as another left them; the
            same as `seconds` where a turn is one run.
    """

    seconds: tuple[float, ...]
    first: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.seconds)

    @property
    def minimum(self) -> float:
        """The least."""
        return min(self.seconds)


def in_turns(
    runs: Mapping[Name, Callable[[], object]],
    repeats: int,
    *,
    budget: float = 60.0,
    settle: float = 0.0,
    collect: bool = True,
    synchronize: Callable[[], None] = lambda: None,
    inspect: Callable[[Name, Any], None] = lambda name, result: None,
) -> dict[Name, Timing]:
    """Time every computation `repeats` times, round by round.

    A run of under two seconds is preceded by one that does not count. A computation leaves the
    rounds once its runs have taken `budget` seconds; it has at least one.

    Args:
        runs: computations by name; what they return is dropped outside the clock.
        repeats: how many times that count.
        budget: seconds that one computation may take in all, its last run apart.
        settle: a run shorter than this is repeated within its turn for about as long, and the
            median of the repetitions counts: as a loop over it would find them.
        collect: whether garbage is collected before every run, outside the clock: tens of
            milliseconds each, after which a run of microseconds finds its caches cold.
        synchronize: waits for the device.
        inspect: shown every computation's first result, outside the clock.

    Example:
        >>> times = in_turns({"fast": lambda: 1, "faster": lambda: 2}, repeats=3)
        >>> [len(times[name].seconds) for name in times]
        [3, 3]
    """
    timed: dict[Name, list[float]] = {name: [] for name in runs}
    first: dict[Name, list[float]] = {name: [] for name in runs}
    spent = dict.fromkeys(runs, 0.0)
    for turn in range(repeats + 1):
        for name, run in runs.items():
            if len(timed[name]) == repeats or (timed[name] and spent[name] > budget):
                continue
            seconds, result = clock(run, synchronize, collect=collect)
            if turn == 0:
                inspect(name, result)
            del result
            spent[name] += seconds
            if turn == 0 and seconds <= _COLD_MATTERS_BELOW:
                continue
            first[name].append(seconds)
            timed[name].append(_settled(run, seconds, settle, synchronize))
    return {name: Timing(tuple(timed[name]), tuple(first[name])) for name in runs}


def _settled(
    run: Callable[[], Any], seconds: float, settle: float, synchronize: Callable[[], None]
) -> float:
    if seconds >= settle:
        return seconds
    count = min(_MOST_REPETITIONS, math.ceil(settle / seconds))
    return median(clock(run, synchronize, collect=False)[0] for _ in range(count))


def clock(
    run: Callable[[], Any],
    synchronize: Callable[[], None] = lambda: None,
    *,
    collect: bool = True,
) -> tuple[float, Any]:
    """Seconds that one run takes, and its result; garbage is collected before, if `collect`."""
    if collect:
        gc.collect()
    synchronize()
    start = time.perf_counter()
    result = run()
    synchronize()
    return time.perf_counter() - start, result


def synchronizer(device: str) -> Callable[[], None]:
    """Waits until the device has done what it was told; nothing to wait for on a CPU."""
    return lambda: accelerator.synchronize(device)
