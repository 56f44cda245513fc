"""The comparison of two versions' outputs finds what differs, and forgives rounding alone."""

import pytest

from tests.equal_outputs import ABSOLUTE, RELATIVE, Comparison, unexplained


def compared(old, new):
    comparison = Comparison()
    comparison.compare(old, new)
    return comparison


def test_rounding_is_forgiven_and_its_size_is_told():
    comparison = compared({"rows": [{"x": 1.0}]}, {"rows": [{"x": 1.0 + RELATIVE / 2}]})
    assert comparison.differences == []
    assert comparison.largest == pytest.approx(RELATIVE / 2, rel=1e-5)
    assert compared(0.0, ABSOLUTE / 2).differences == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (1.0, 1.0 + 3 * RELATIVE),
        (0.0, 3 * ABSOLUTE),
        (1.0, float("nan")),
        (True, False),
        (1, "1"),
        ([1.0], [1.0, 2.0]),
        ("to 3.1e-16 in 20", "to 3.1e-16 in 21"),
        ("held in 3 of 5", "held in all 5"),
        ({"a": 1}, {}),
        ({}, {"unheard of": 1}),
        (None, 0.0),
    ],
)
def test_everything_else_is_a_difference(old, new):
    assert len(compared([old], [new]).differences) == 1


def test_fields_that_came_later_are_named_and_not_compared():
    comparison = compared({"a": 1}, {"a": 1, "sigma_error": 0.5})
    assert comparison.differences == []
    assert comparison.new == {"sigma_error"}


def test_numbers_in_sentences_are_numbers():
    assert compared("equal to 3.1e-16.", "equal to 3.0e-16.").differences == []


def test_what_was_changed_on_purpose_is_said_and_nothing_else_forgiven(capsys):
    meant = "check: .table4[1].formed_us: 21.8 became 22.9"
    assert unexplained([meant, "check: .eq10[0].verdict: OK became FALSE"]) == [
        "check: .eq10[0].verdict: OK became FALSE"
    ]
    assert "1 meant: judged by counted operations" in capsys.readouterr().out
