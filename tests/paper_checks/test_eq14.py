from dataclasses import replace

import pytest

from paper_checks import eq16
from paper_checks._runs import Case, trained
from paper_checks.eq14 import CHECK, SMALL, draw, row_of, summary
from paper_checks.harness import Measured, Verdict


def released(method):
    setting = replace(SMALL, preset="released")
    return Case(setting=setting, method=method, loss="cross-entropy", optimizer="adam", steps=40)


@pytest.fixture(scope="module")
def lazy():
    return row_of(trained(Case(setting=SMALL, alpha=1000.0, steps=60)), 0)


@pytest.fixture(scope="module")
def moving():
    return row_of(trained(released("tensorguide")), 0)


def judged(*rows):
    return CHECK.judge(Measured(summary(rows), rows))


def on_new(*rows):
    return eq16.CHECK.judge(Measured(summary(rows, "missed_new"), rows))


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


def test_new_samples_are_judged_by_themselves(lazy):
    off = {**lazy, "missed_new": 0.5}
    assert judged(off).verdict is Verdict.OK
    assert on_new(off).verdict is Verdict.FALSE


def test_a_larger_factor_leaves_less_to_miss(lazy):
    less = row_of(trained(Case(setting=SMALL, alpha=100.0, steps=60)), 0)
    assert less["missed"] > 5 * lazy["missed"]
    assert less["missed_new"] > 5 * lazy["missed_new"]


def test_figure_shows_a_point_a_run(lazy, moving):
    rows = (lazy, moving)
    for figure in (
        draw(Measured(summary(rows), rows)),
        eq16.draw(Measured(summary(rows, "missed_new"), rows)),
    ):
        assert len(figure.axes[0].get_lines()) == len(rows) + 1
