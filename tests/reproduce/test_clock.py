import signal
import time

import pytest

from ntklab.reproduce.clock import Clock


def test_work_that_is_done_in_time_is_left_alone():
    with Clock(10.0).limit() as cut:
        pass
    assert cut == []


def test_what_takes_longer_is_interrupted_and_ends_quietly():
    done = []
    with Clock(0.001).limit() as cut:
        try:
            time.sleep(60)
        finally:
            done.append("kept what it had")
    assert (cut, done) == ([True], ["kept what it had"])


def test_the_reserve_is_left():
    clock = Clock(0.5)
    with clock.limit(reserve=0.499) as cut:
        time.sleep(60)
    assert cut
    assert clock.left > 0.4


def test_a_person_s_interrupt_is_not_the_clock_s():
    with pytest.raises(KeyboardInterrupt), Clock(10.0).limit():
        signal.raise_signal(signal.SIGINT)


def test_the_handler_comes_back_even_where_a_background_process_had_none():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Clock(0.0).limit() as cut:
            time.sleep(60)
        assert cut
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
