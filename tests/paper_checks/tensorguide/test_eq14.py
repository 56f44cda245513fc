from dataclasses import replace

import pytest

from ntklab.claims import Verdict
from paper_checks.tensorguide import eq16
from paper_checks.tensorguide._runs import Case, trained
from paper_checks.tensorguide.eq14 import CHECK, NEW, SMALL, draw, measured_of, row_of, told


def released(method):
    setting = replace(SMALL, preset="released")
    return Case(setting=setting, method=method, loss="cross-entropy", optimizer="adam", steps=40)


def lazily(alpha):
    return Case(setting=SMALL, alpha=alpha, steps=60)


def run_of(case):
    return told(trained(case), 0)


@pytest.fixture(scope="module")
def lazy_run():
    return run_of(lazily(1000.0))


@pytest.fixture(scope="module")
def moving_run():
    return run_of(released("tensorguide"))


@pytest.fixture(scope="module")
def lazy(lazy_run):
    return row_of(lazily(1000.0), [lazy_run])


@pytest.fixture(scope="module")
def moving(moving_run):
    return row_of(released("tensorguide"), [moving_run])


def judged(*rows):
    return CHECK.judge(measured_of(rows))


def on_new(*rows):
    return eq16.CHECK.judge(measured_of(rows, NEW))


def test_holds_in_a_lazy_world(lazy):
    assert lazy["lazy_index"] < 0.01
    assert judged(lazy).verdict is Verdict.OK
    assert on_new(lazy).verdict is Verdict.OK


def test_fails_from_the_released_start(moving):
    assert moving["lazy_index"] > 1
    finding = judged(moving)
    assert finding.verdict is Verdict.FALSE
    assert "as released" in finding.because
    assert on_new(moving).verdict is Verdict.FALSE


def test_both_worlds_make_it_a_matter_of_scale(lazy, moving):
    assert judged(lazy, moving).verdict is Verdict.REGIME
    assert on_new(lazy, moving).verdict is Verdict.REGIME


def test_new_samples_are_judged_by_themselves(lazy_run):
    off = row_of(lazily(1000.0), [{**lazy_run, NEW: 0.5}])
    assert judged(off).verdict is Verdict.OK
    assert on_new(off).verdict is Verdict.FALSE


def test_one_seed_of_many_is_no_longer_all(lazy_run):
    row = row_of(lazily(1000.0), [lazy_run] * 29 + [{**lazy_run, "missed": 0.5}])
    finding = judged(row)
    assert finding.verdict is Verdict.REGIME
    assert "In 29 of 30 runs" in finding.because
    assert measured_of([row]).seeds == 30


def test_median_and_counts_over_seeds(lazy_run, moving_run):
    row = row_of(lazily(1000.0), [lazy_run, lazy_run, moving_run])
    assert row["missed"] == lazy_run["missed"]
    assert (row["seeds"], row["within"], row["missed_good"]) == (3, 2, 2)
    assert row["missed_good_index"] == lazy_run["lazy_index"]
    assert row["missed_bad_index"] == moving_run["lazy_index"]


def test_a_larger_factor_leaves_less_to_miss(lazy_run):
    less = run_of(lazily(100.0))
    assert less["missed"] > 5 * lazy_run["missed"]
    assert less["missed_new"] > 5 * lazy_run["missed_new"]


def test_figure_shows_a_point_a_case(lazy, moving):
    rows = (lazy, moving)
    for figure in (draw(measured_of(rows)), eq16.draw(measured_of(rows, NEW))):
        assert len(figure.axes[0].containers) == len(rows)
