"""The program's two streams: letters that they cannot hold, and outputs that nobody takes."""

import codecs
import errno
import os
import sys
from typing import Any

FAILED = 1

_HANDLER = "ntklab.ascii"
_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def say(text: str) -> None:
    """One line on stderr, where there is one."""
    if sys.stderr is not None:
        sys.stderr.write(" ".join(text.split()) + "\n")


def prepare_streams() -> None:
    """Give letters that the streams' encoding cannot hold their ASCII names.

    Under `LANG=C`, or in a pipe that is told to be ASCII, λ is written as lambda and ≤ as <=.

    Raises:
        SystemExit: with code 1 if stdout was closed before the program began.
    """
    codecs.register_error(_HANDLER, _by_name)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)
    if sys.stdout is None:
        say("Error: stdout is closed, so no result could be shown: leave it open.")
        raise SystemExit(FAILED)


def as_stdout_holds(text: str) -> str:
    """The text, in ASCII where stdout cannot hold it: what typer writes goes past the handler."""
    from ntklab.tables import holds, in_ascii

    return text if holds(sys.stdout.encoding, text) else in_ascii(text)


def flush_stdout(code: Any) -> Any:
    """Write out what is buffered; the exit code, or 1 with a sentence if nobody takes it."""
    try:
        sys.stdout.flush()
    except OSError as error:
        say(stdout_lost(error))
        return FAILED
    return code


def stdout_lost(error: OSError) -> str:
    """A sentence for a stdout that could not be written; what is left for it goes nowhere."""
    _forget_stdout()
    closed = error.errno in (errno.EPIPE, errno.EBADF, errno.ESHUTDOWN)
    why = "its reader has gone" if closed else error.strerror or str(error)
    return f"Error: stdout cannot be written ({why}): give --out DIR to keep results in files."


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, in Python, numpy or torch."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _MEMORY)


def _by_name(error: UnicodeError) -> tuple[str, int]:
    from ntklab.tables import in_ascii

    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    # Arguments that an ASCII locale could not read come as surrogates, a byte each.
    read = letters.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return in_ascii(read), error.end


def _forget_stdout() -> None:
    """Send what is left to nowhere, so that Python's own last flush has nothing to complain of."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass
