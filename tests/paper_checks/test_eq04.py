import pytest

from paper_checks.eq04 import (
    CHECK,
    READINGS,
    even_data,
    largest_distance,
    objective_error,
    readings,
    trained,
)
from paper_checks.harness import Measured, Verdict


def world(heads, steps=3):
    data = even_data(0, samples=16)
    rows = trained(heads, data, steps)
    values = {
        "objective_error": objective_error(heads, data),
        "smallest_distance": largest_distance(heads, data.inputs),
        "seeds": 1,
    }
    for k, row in enumerate(rows):
        values |= {f"loss_{k}": row["loss"], f"accuracy_{k}": row["accuracy"]}
    return Measured(values, rows)


def test_three_readings_are_three_functions():
    finding = CHECK.judge(world(readings(0)))
    assert finding.verdict is Verdict.MEND
    assert all(name in finding.because for name in READINGS)


def test_one_reading_told_three_times_is_a_definition():
    same = {name: readings(0)[READINGS[2]] for name in READINGS}
    data = even_data(0, samples=16)
    values = {
        "objective_error": objective_error(same, data),
        "smallest_distance": largest_distance(same, data.inputs),
        "seeds": 1,
    }
    assert CHECK.judge(Measured(values)).verdict is Verdict.OK


@pytest.mark.parametrize("error", [1e-6, 1.0])
def test_another_loss_is_found_out(error):
    measured = world(readings(0))
    worse = Measured({**measured.values, "objective_error": error}, measured.rows)
    assert CHECK.judge(worse).verdict is Verdict.FALSE


def test_only_a_nonlinear_reading_learns_even_labels():
    rows = {row["reading"]: row for row in trained(readings(0), even_data(0, 128), 150)}
    assert rows[READINGS[1]]["accuracy"] > 0.8
    assert rows[READINGS[2]]["accuracy"] < 0.7
