import pytest

from ntklab.claims import Measured, Verdict
from paper_checks.tensorguide.eq04 import (
    CHECK,
    DOTS,
    READINGS,
    even_data,
    largest_distance,
    objective_error,
    readings,
    summary,
    trained,
)


def world(heads, steps=3):
    data = even_data(0, samples=16)
    runs = [{"task": "even", "seed": 0, **row} for row in trained(heads, data, steps)]
    return summary(
        runs, [largest_distance(heads, data.inputs)], [objective_error(heads, data)]
    )  # fmt: skip


def test_three_readings_are_three_functions():
    finding = CHECK.judge(world(readings(0)))
    assert finding.verdict is Verdict.MEND
    assert all(name in finding.because for name in READINGS)


def test_one_reading_told_three_times_is_a_definition():
    same = {name: readings(0)[READINGS[2]] for name in READINGS}
    assert CHECK.judge(world(same)).verdict is Verdict.OK


@pytest.mark.parametrize("error", [1e-6, 1.0])
def test_another_loss_is_found_out(error):
    measured = world(readings(0))
    worse = Measured({**measured.values, "objective_error": error}, measured.rows)
    assert CHECK.judge(worse).verdict is Verdict.FALSE


def test_only_a_nonlinear_reading_learns_even_labels():
    rows = {row["reading"]: row for row in trained(readings(0), even_data(0, 128), 150)}
    assert rows[READINGS[1]]["accuracy"] > 0.8
    assert rows[READINGS[2]]["accuracy"] < 0.7


def test_seeds_are_told_by_their_median():
    runs = [
        {"task": "even", "seed": seed, "reading": READINGS[0], "loss": loss, "accuracy": 0.5,
         "test_accuracy": None}
        for seed, loss in enumerate((0.1, 0.2, 9.0))
    ]  # fmt: skip
    measured = summary(runs, [0.5], [0.0])
    assert measured.seeds == 3
    assert measured.rows[0]["loss"] == 0.2
    assert "3 seeds" in CHECK.judge(measured).because


def test_readings_differ_on_the_real_task_too():
    data = DOTS.data(0)
    heads = readings(0, DOTS, data.inputs.shape[1])
    assert largest_distance(heads, data.inputs) > 0.5
    assert objective_error(heads, data) < 1e-12
