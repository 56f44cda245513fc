"""An amount of time after which whatever runs is interrupted as if by Ctrl-C."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_SETTLED = 0.05  # seconds


@dataclass
class Clock:
    """Minutes that a run may take.

    Attributes:
        minutes: from the making of the clock on.
    """

    minutes: float
    _start: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Minutes that are left; never below zero.

        Example:
            >>> 0.9 < Clock(1.0).left <= 1.0
            True
        """
        return max(0.0, self.minutes - (time.monotonic() - self._start) / 60)

    @contextmanager
    def limit(self, reserve: float = 0.0) -> Iterator[list[bool]]:
        """Within the block the main thread gets SIGINT when the time but `reserve` minutes is up.

        Long work keeps what it has on Ctrl-C, and so it does here. The KeyboardInterrupt ends the
        block quietly if it was the clock's own.

        Yields:
            A list that holds True once the block was cut short.

        Example:
            >>> with Clock(0.0).limit() as cut:
            ...     time.sleep(5)
            >>> cut
            [True]
        """
        cut: list[bool] = []
        begun, ended = threading.Event(), threading.Event()

        def stop() -> None:
            begun.wait()
            time.sleep(_SETTLED)  # until the block has been entered
            if not ended.is_set():
                cut.append(True)
                os.kill(os.getpid(), signal.SIGINT)

        # A process in the background ignores the signal that it would have to hear.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        timer = threading.Timer(max(0.0, 60 * (self.left - reserve)), stop)
        timer.daemon = True
        timer.start()
        try:
            begun.set()
            yield cut
        except KeyboardInterrupt:
            if not cut:
                raise
        finally:
            ended.set()
            timer.cancel()
            signal.signal(signal.SIGINT, before)
