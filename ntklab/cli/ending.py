"""SIGTERM does what Ctrl-C does: `kill`, and a batch system whose time is up, lose nothing."""

import signal
import threading
from types import FrameType

#: As a shell has it: 128 and the number of the signal.
INTERRUPTED, TERMINATED = 130, 143

#: Whether SIGTERM has come.
terminated = threading.Event()


def interrupt_on_sigterm() -> None:
    """From here on SIGTERM interrupts as Ctrl-C does.

    By default it would end this process alone. Its workers would go on with the cells in hand,
    beside those of the next run on the same folder.
    """
    signal.signal(signal.SIGTERM, _interrupt)


def exit_code() -> int:
    """The exit code of an interrupted program.

    Example:
        >>> exit_code()
        130
    """
    return TERMINATED if terminated.is_set() else INTERRUPTED


def _interrupt(number: int, frame: FrameType | None) -> None:
    terminated.set()
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):  # a process in the background ignores Ctrl-C
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)
