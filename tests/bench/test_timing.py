import itertools

import pytest

from ntklab.bench import timing as clocks
from ntklab.bench.timing import in_turns


@pytest.fixture
def fake_clock(monkeypatch):
    """A clock that moves only when a computation says how long it takes."""
    now = itertools.count()
    time = {"now": 0.0}
    monkeypatch.setattr(clocks.time, "perf_counter", lambda: time["now"])

    def takes(seconds):
        def run():
            time["now"] += seconds
            return next(now)

        return run

    return takes


def test_rounds_interleave_and_the_first_is_left_out(fake_clock):
    order = []

    def named(name, seconds):
        run = fake_clock(seconds)
        return lambda: (order.append(name), run())

    times = in_turns({"a": named("a", 1.0), "b": named("b", 0.5)}, repeats=2)
    assert order == ["a", "b"] * 3
    assert times["a"].seconds == (1.0, 1.0)
    assert (times["b"].median, times["b"].minimum) == (0.5, 0.5)


def test_a_slow_one_counts_from_its_first_run_and_leaves_when_its_budget_is_spent(fake_clock):
    runs = {"slow": fake_clock(40.0), "fast": fake_clock(0.1)}
    times = in_turns(runs, repeats=5, budget=60.0)
    assert len(times["slow"].seconds) == 2
    assert len(times["fast"].seconds) == 5


def test_it_runs_at_least_once_whatever_it_takes(fake_clock):
    assert in_turns({"hopeless": fake_clock(1e6)}, repeats=3)["hopeless"].seconds == (1e6,)


def test_each_first_result_is_shown_once(fake_clock):
    seen = []
    in_turns({"a": fake_clock(1.0)}, repeats=3, inspect=lambda name, result: seen.append(name))
    assert seen == ["a"]


def test_a_brief_run_is_repeated_within_its_turn(fake_clock):
    """The first run of a turn is kept apart; the median of the others is what counts."""
    taken = iter([9.0, 0.5, 0.1, 0.3, 0.2, 0.7, 0.1, 0.1, 0.4])

    def run():
        return fake_clock(next(taken, 0.1))()

    times = in_turns({"a": run, "long": fake_clock(3.0)}, repeats=2, settle=1.0)
    assert times["a"].first == (9.0, 0.5)
    assert times["a"].seconds[0] == 9.0
    assert times["a"].seconds[1] == pytest.approx(0.2)  # of 0.1 and 0.3
    assert times["long"].seconds == times["long"].first == (3.0, 3.0)


@pytest.mark.parametrize(("collect", "times"), [(True, 4), (False, 0)])
def test_garbage_is_collected_before_every_run_or_before_none(
    fake_clock, monkeypatch, collect, times
):
    seen = []
    monkeypatch.setattr(clocks.gc, "collect", lambda: seen.append("collected"))
    in_turns({"a": fake_clock(1.0)}, repeats=3, collect=collect)
    assert len(seen) == times
