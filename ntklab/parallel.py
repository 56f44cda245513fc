"""Work side by side: each piece by one thread from end to end.

torch divides every single operation among its threads, and they meet at its end. Where a piece is
many small operations on what fits one core's cache, or one product that a core does as well alone,
whole pieces in threads of our own are faster.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from threading import local
from typing import TypeVar

import torch

Piece = TypeVar("Piece")


_outside = local()


@contextmanager
def alone() -> Iterator[int]:
    """Torch works in the calling thread alone; tells how many threads it has outside.

    Within, no thread of torch's is woken, which would then wait for more on a core of ours. May be
    nested.

    Example:
        >>> with alone() as threads:
        ...     torch.get_num_threads(), threads > 0
        (1, True)
    """
    if hasattr(_outside, "threads"):
        yield _outside.threads
        return
    _outside.threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield _outside.threads
    finally:
        torch.set_num_threads(_outside.threads)
        del _outside.threads


def run_pieces(threads: int, pieces: Iterable[Piece], run: Callable[[Piece], None]) -> None:
    """Call `run` for every piece; a thread that is done takes the next.

    To be called within `alone`. After an exception (Ctrl-C too) no other piece is begun; it is
    raised once all threads are done.

    Args:
        threads: how many, the calling one among them; no gradients are recorded in the others.
        pieces: largest first, if they differ.
        run: writes to places of its own.

    Example:
        >>> seen = torch.zeros(5)
        >>> run_pieces(2, range(5), lambda place: seen[place].add_(1))
        >>> seen.tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    waiting = list(pieces)
    queue = iter(waiting)

    def work() -> None:
        try:
            for piece in queue:
                run(piece)
        finally:
            deque(queue, maxlen=0)

    helpers = min(threads, len(waiting)) - 1
    others = [_pool(threads - 1).submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        wait(others)
    for other in others:
        other.result()


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "ntklab", initializer=_prepare)


def _prepare() -> None:
    torch.get_num_threads()  # a thread's first question sets its number, and would undo the next
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)


# A child process has none of its parent's threads.
os.register_at_fork(after_in_child=_pool.cache_clear)
