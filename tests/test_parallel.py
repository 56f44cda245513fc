"""Pieces of work by threads of our own, each with torch alone."""

import os
import threading

import pytest
import torch

from ntklab.parallel import alone, run_pieces


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_alone_is_one_thread_and_may_be_nested():
    with alone() as threads:
        assert (threads, torch.get_num_threads()) == (2, 1)
        with alone() as again:
            assert (again, torch.get_num_threads()) == (2, 1)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_alone_ends_with_an_error_too():
    with pytest.raises(KeyError), alone():
        raise KeyError
    assert torch.get_num_threads() == 2
    with alone() as threads:
        assert threads == 2


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_every_piece_is_done_once_by_a_thread_with_torch_alone(threads, count):
    done, told = [], set()

    def run(piece):
        done.append(piece)
        told.add((threading.get_ident(), torch.get_num_threads(), torch.is_grad_enabled()))

    with alone(), torch.no_grad():
        run_pieces(threads, range(count), run)
    assert sorted(done) == list(range(count))
    assert len(told) <= threads
    assert {number for _, number, _ in told} <= {1}
    assert not any(graded for *_, graded in told)


def test_pieces_do_run_side_by_side():
    """Each waits for the other: one thread alone would never end."""
    meeting = threading.Barrier(2, timeout=30)
    with alone():
        run_pieces(2, range(2), lambda piece: meeting.wait())


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("bad", [0, 1, 5])
def test_an_exception_is_raised_when_all_are_done(bad, kind):
    running = []

    def run(piece):
        running.append(piece)
        if piece == bad:
            raise kind(f"piece {piece}")
        running.remove(piece)

    with pytest.raises(kind, match=f"piece {bad}"), alone():
        run_pieces(2, range(6), run)
    assert running == [bad]


def test_after_an_exception_no_other_piece_is_begun():
    begun = []

    def run(piece):
        begun.append(piece)
        raise ValueError(f"piece {piece}")

    with pytest.raises(ValueError, match="piece"), alone():
        run_pieces(2, range(1000), run)
    assert len(begun) <= 2


def test_new_threads_elsewhere_keep_their_own_number():
    """Our threads' one must not become the number of every thread that begins later."""
    with alone():
        run_pieces(2, range(4), lambda piece: None)
    found = []
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert found == [2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_threads_of_its_own():
    with alone():
        run_pieces(2, range(4), lambda piece: None)
    child = os.fork()
    if child == 0:
        total = []
        with alone():
            run_pieces(2, range(4), total.append)
        os._exit(0 if sorted(total) == [0, 1, 2, 3] else 1)
    assert os.waitpid(child, 0)[1] == 0
