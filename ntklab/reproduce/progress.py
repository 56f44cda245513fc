"""One progress over the records of all steps."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ntklab.experiments.executors import Progress

#: Called with (done, all, the record in hand, its configuration in hand or None); done and all are
#: in seconds of one core, roughly.
Watch = Callable[[float, float, str, Any], object]

#: Seconds that a cell of a planner takes on one core, roughly: they decide how a bar moves, and
#: what a dry run says.
_SECONDS = {"spectrum": 0.1, "sweep": 0.5, "bounds": 3.0, "approx": 3.0, "pair": 3.0}
_OTHERS = 5.0


def seconds_of(planner: str, cells: int) -> float:
    """Seconds that cells of a planner take on one core, roughly.

    Example:
        >>> seconds_of("sweep", 4)
        2.0
    """
    return cells * _SECONDS.get(planner, _OTHERS)


class Steps:
    """How far all records together are.

    Args:
        sizes: record → planner and number of its cells, of all that will be made.
        watch: is told.

    Example:
        >>> seen = []
        >>> steps = Steps({"a": ("sweep", 2), "b": ("sweep", 2)}, lambda *now: seen.append(now[:3]))
        >>> steps.of("a")(2, 2, None)
        >>> steps.of("b")(1, 2, None)
        >>> seen
        [(1.0, 2.0, 'a'), (1.5, 2.0, 'b')]
    """

    def __init__(self, sizes: Mapping[str, tuple[str, int]], watch: Watch) -> None:
        self._weights = {
            name: seconds_of(planner, cells) for name, (planner, cells) in sizes.items()
        }
        self._total = sum(self._weights.values())
        self._watch = watch
        self._begun: dict[str, float] = {}

    def of(self, record: str) -> "Progress":
        """The progress callback of a record's run; records that were begun before count as done."""
        before, weight = sum(self._begun.values()), self._weights[record]
        self._begun[record] = weight

        def progress(done: float, cells: int, config: Any) -> None:
            part = weight * done / cells if cells else weight
            self._watch(before + part, self._total, record, config)

        return progress
