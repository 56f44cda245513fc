"""The one search of a rate: a few rates are tried, and further ones while an end is the best."""

from collections.abc import Callable, Mapping
from typing import TypeVar

Cost = TypeVar("Cost", float, tuple[float, ...])

#: Tried for every head on the validation rows.
HEAD_RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)

#: Where a search goes on: steps of about 3.
LADDER = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)


def search_rate(
    cost: Callable[[float], Cost], rates: tuple[float, ...], *, extend: bool = False
) -> tuple[float, dict[float, Cost]]:
    """The rate of least cost, the first of equals, and the cost of every rate that was tried.

    Args:
        cost: trains at a rate, and judges on samples that are not trained on; infinite where the
            run diverged.
        rates: tried in this order.
        extend: whether to go on along `LADDER` while the best rate is the smallest or largest.

    Example:
        >>> search_rate(lambda rate: abs(rate - 0.02), (1e-3, 3e-3), extend=True)[0]
        0.03
        >>> search_rate(lambda rate: abs(rate - 0.02), (1e-3, 3e-3))[0]
        0.003
    """
    tried: dict[float, Cost] = {}
    while (rate := next_rate(tried, rates, extend=extend)) is not None:
        tried[rate] = cost(rate)
    return min(tried, key=lambda rate: tried[rate]), tried


def next_rate(
    tried: Mapping[float, Cost], rates: tuple[float, ...], *, extend: bool = True
) -> float | None:
    """The rate that a search tries next; None when its best lies between two others.

    Example:
        >>> next_rate({}, (1e-3, 3e-3, 1e-2))
        0.001
        >>> next_rate({1e-3: 2.0, 3e-3: 1.9, 1e-2: 1.8}, (1e-3, 3e-3, 1e-2))
        0.03
        >>> next_rate({1e-3: 2.0, 3e-3: 1.9, 1e-2: 2.8}, (1e-3, 3e-3, 1e-2)) is None
        True
    """
    for rate in rates:
        if rate not in tried:
            return rate
    ordered = sorted(tried)
    best = min(ordered, key=lambda rate: tried[rate])
    inside = len(ordered) == 1 or best not in (ordered[0], ordered[-1])
    if not extend or inside or best not in LADDER:
        return None
    place = LADDER.index(best) + (1 if best == ordered[-1] else -1)
    return LADDER[place] if 0 <= place < len(LADDER) else None
