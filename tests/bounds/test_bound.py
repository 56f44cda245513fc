import json
import math

import pytest

from ntklab.bounds import Assumption, Bound, conclude, rests_on

PARTS = {"name": "demo", "equation": "18", "form": "paper", "bounds": "a number"}


def test_no_number_where_an_assumption_fails():
    def never() -> float:
        raise AssertionError("computed although the assumption fails")

    failing = Assumption("λ_min > 0", False, "rank 3 of 4")
    bound = conclude(never, assumptions=[failing], measured=1.0, **PARTS)
    assert (bound.value, bound.vacuous, bound.holds) == (None, True, None)
    assert bound.reason == "λ_min > 0 fails: rank 3 of 4"
    assert bound.assumptions_hold is False


def test_a_value_with_a_failed_assumption_cannot_be_built():
    with pytest.raises(ValueError, match="assumption fails"):
        Bound(value=1.0, assumptions=(Assumption("a", False, "b"),), **PARTS)
    with pytest.raises(ValueError, match="exactly one"):
        Bound(value=None, **PARTS)


@pytest.mark.parametrize("result", [math.inf, math.nan, None])
def test_what_is_not_finite_is_refused(result):
    def compute() -> float:
        return math.exp(1e6) if result is None else result

    bound = conclude(compute, **PARTS)
    assert bound.value is None
    assert "no finite number" in bound.reason


@pytest.mark.parametrize(
    ("direction", "value", "trivial", "vacuous"),
    [
        ("upper", 1.0, 1.0, True),
        ("upper", 0.99, 1.0, False),
        ("upper", 7.0, None, False),
        ("lower", 0.0, 0.0, True),
        ("lower", 0.1, 0.0, False),
    ],
)
def test_vacuous_means_no_better_than_what_holds_anyway(direction, value, trivial, vacuous):
    bound = conclude(lambda: value, direction=direction, trivial=trivial, **PARTS)
    assert bound.vacuous is vacuous
    assert (bound.reason is not None) is vacuous


def test_holds_on_the_right_side_up_to_rounding():
    upper = conclude(lambda: 1.0, **PARTS)
    lower = conclude(lambda: 1.0, direction="lower", **PARTS)
    assert upper.holds is None
    assert upper.beside(1.0 + 1e-12).holds
    assert not upper.beside(1.001).holds
    assert lower.beside(1.001).holds
    assert not lower.beside(0.999).holds


def test_row_is_flat_and_json():
    unchecked = Assumption("samples are independent", None, "not in the numbers")
    bound = conclude(
        lambda: 0.5, ingredients={"trace": 4.0}, assumptions=[unchecked], measured=0.4, **PARTS
    )
    row = bound.row()
    assert all(v is None or isinstance(v, str | float | bool) for v in row.values())
    assert json.loads(json.dumps(row)) == row
    assert row["holds"] is True
    assert row["assumptions_hold"] is None
    assert "not checked: samples are independent" in row["assumptions"]


def test_a_bound_made_from_one_without_value_has_none():
    lost = conclude(lambda: 1.0, assumptions=[Assumption("a", False, "b")], **PARTS)
    outer = conclude(lambda: 2.0, assumptions=rests_on(lost), **PARTS)
    assert outer.value is None
    assert "a fails: b" in outer.reason
    kept = conclude(lambda: 1.0, assumptions=[Assumption("a", None, "b")], **PARTS)
    assert rests_on(kept) == kept.assumptions
