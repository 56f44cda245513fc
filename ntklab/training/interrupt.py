"""Ctrl-C between steps instead of inside one, so that a checkpoint is never half a step."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Within the block, the first Ctrl-C is only noted; a second one interrupts at once.

    Python delivers signals to the main thread alone: elsewhere nothing is changed.

    Yields:
        A function that says whether Ctrl-C was pressed.

    Example:
        >>> with deferred_interrupt() as interrupted:
        ...     signal.raise_signal(signal.SIGINT)
        ...     interrupted()
        True
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def note(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
