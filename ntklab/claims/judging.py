"""A verdict is of the numbers alone: what a check must say of itself, and what `judge` may read."""

import inspect
import json
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ntklab.claims.claim import Check, Effort, Finding, Measured, Verdict
from ntklab.errors import InputError
from ntklab.records import to_json, without_gaps

# Events of Python's audit by which a function reads something that it was not given.
_READS = {
    "open": "the file {}",
    "os.listdir": "the folder {}",
    "os.scandir": "the folder {}",
    "socket.connect": "the network",
    "subprocess.Popen": "the output of {}",
}
_CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib")  # a module that is imported late
_state = threading.local()
_hooked = threading.Event()


def require_whole(check: Check, place: str) -> Check:
    """The check, if it says what a run and a report need.

    Args:
        check: as a pack's file defines it.
        place: that file, for the sentence.

    Raises:
        InputError: naming what is missing.
    """
    claim, sample = check.claim, check.sample
    for name in ("title", "words"):
        if not getattr(claim, name).strip():
            raise InputError(f"{place}: the claim has no {name}; write Claim({name}=...).")
    if sample is None:
        raise InputError(
            f"{place} has no sample: say on what the claim is tried and how often, "
            "Check(..., sample=Sample(...))."
        )
    if sample.by == "record" and not check.records:
        raise InputError(f"{place} rests on a record, but names none: Check(..., records=(NAME,)).")
    if check.draw is not None and not check.caption:
        raise InputError(f"{place} draws a figure without a caption: Check(..., caption=...).")
    _require_one_argument(check.measure, f"{place}: measure", "an Effort")
    _require_one_argument(check.judge, f"{place}: judge", "what was measured")
    return check


def require_numbers(check: Check, effort: Effort, measured: Measured) -> None:
    """Refuse what is no measurement, is empty, or rests on fewer seeds than the sample declares.

    Raises:
        InputError: saying which.
    """
    name = check.claim.id
    if not isinstance(measured, Measured):
        raise InputError(f"measure of {name} returned {_kind(measured)}, but must return Measured.")
    if not measured.values and not measured.rows:
        raise InputError(
            f"{name} measured nothing, and there is no verdict without numbers: fill the values "
            "or the rows of Measured."
        )
    if check.sample is None or check.sample.by != "seed":
        return
    declared, counted = len(check.sample.seeds(effort)), measured.seeds or 0
    if counted < declared:
        raise InputError(
            f"{name} measured {counted} seeds, but its sample says {declared}: "
            "let measure draw with CHECK.sample.seeds(effort) and count them in Measured.seeds."
        )


def judged(check: Check, measured: Measured) -> Finding:
    """The finding, after making sure that it follows from the numbers.

    `judge` is called twice: on the measured numbers, and on the same numbers as a record gives
    them back. Meanwhile it may open no file, folder, connection or process, and draw no random
    number. A clock that it only looks at is not noticed, unless the finding quotes it.

    Raises:
        InputError: if it reads anything else, if the two findings differ, or if what it returns is
            no finding with a reason.
    """
    name = check.claim.id
    with _numbers_only(name):
        first = check.judge(measured)
        second = check.judge(_as_recorded(measured))
    for finding in (first, second):
        if not isinstance(finding, Finding) or not isinstance(finding.verdict, Verdict):
            raise InputError(
                f"judge of {name} returned {_kind(finding)}, but must return "
                f"Finding(Verdict.{'|'.join(Verdict)}, because)."
            )
    if not first.because.strip():
        raise InputError(
            f"judge of {name} gives no reason: quote the numbers that decided in Finding.because."
        )
    if first != second:
        raise InputError(
            f"judge of {name} says {first.verdict} ({first.because}) and, of the same numbers as "
            f"the record gives them back, {second.verdict} ({second.because}): it must depend on "
            "the values and rows of Measured alone."
        )
    return first


def _as_recorded(measured: Measured) -> Measured:
    def through(row: Mapping[str, Any]) -> dict[str, Any]:
        back = json.loads(to_json(without_gaps(dict(row))))
        return {name: back.get(name) for name in row}

    return Measured(through(measured.values), [through(r) for r in measured.rows], measured.seeds)


@contextmanager
def _numbers_only(name: str) -> Iterator[None]:
    """Whatever is read inside raises a sentence; only this thread is watched."""
    if not _hooked.is_set():
        _hooked.set()
        sys.addaudithook(_audit)  # for good: Python knows no way to take it off
    before = _random_states()
    _state.judging = name
    try:
        yield
    finally:
        _state.judging = None
    if _random_states() != before:
        raise InputError(f"judge of {name} draws random numbers: draw in measure. {_ALONE}")


_ALONE = "A verdict may depend on the measured numbers alone."


def _audit(event: str, details: tuple[Any, ...]) -> None:
    name = getattr(_state, "judging", None)
    if name is None or event not in _READS:
        return
    what = str(details[0]) if details else ""
    if (event == "open" and what.endswith(_CODE)) or _is_importing():
        return
    _state.judging = None  # the sentence itself may open files
    raise InputError(
        f"judge of {name} reads {_READS[event].format(what)}: read it in measure. {_ALONE}"
    )


def _is_importing() -> bool:
    frame = sys._getframe()
    while frame is not None:
        if "importlib" in frame.f_code.co_filename:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _random_states() -> tuple[Any, ...]:
    import numpy as np
    import torch

    drawn = np.random.get_state(legacy=False)  # noqa: NPY002 — whether anybody has drawn from it
    return random.getstate(), str(drawn), torch.get_rng_state().numpy().tobytes()


def _require_one_argument(function: Callable[..., Any], who: str, of: str) -> None:
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise InputError(f"{who} must take one argument, {of}, and nothing else.") from None


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
