import pytest

from ntklab import TTShape
from ntklab.claims import Effort, Verdict
from paper_checks.tensorguide.eq28 import CHECK, PAPER, collect, conditioned, counted

ONTO = TTShape.plain((3, 4), (1, 3, 1))  # full rank: every 3 × 4 matrix
ONE_CORE = TTShape.plain((12,), (1, 1))
SHORT = TTShape.plain((3, 4), (1, 1, 1))


@pytest.fixture(scope="module")
def measured():
    return CHECK.measure(Effort())


def test_false_for_the_paper_s_trains(measured):
    found = CHECK.judge(measured)
    assert found.verdict is Verdict.FALSE
    assert found.formula
    assert measured.values["predictions_off"] == 0
    assert len(measured.rows) > len(PAPER)
    CHECK.draw(measured).savefig("/dev/null", format="svg")


def test_one_free_core_is_as_claimed():
    assert CHECK.judge(collect([counted("", ONE_CORE)], own=1)).verdict is Verdict.OK


def test_a_train_that_is_onto_holds_for_another_reason():
    found = CHECK.judge(collect([counted("", ONTO)], own=1))
    assert found.verdict is Verdict.MEND
    assert "9 null" in found.because


def test_a_repair_that_is_not_attained_is_not_offered():
    rows = [counted("", SHORT), conditioned("plain", SHORT, range(2))]
    assert CHECK.judge(collect(rows, own=1)).formula
    rows[1] |= {"attained": 0.1}
    found = CHECK.judge(collect(rows, own=1))
    assert found.verdict is Verdict.FALSE
    assert not found.formula
