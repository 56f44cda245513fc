"""The figures of the prompt panel, from a made-up record."""

import pytest

from ntklab.errors import InputError
from ntklab.experiments.training.panel import PANEL
from ntklab.figures.catalogue import draw_plate, plate
from ntklab.figures.prompt import CANDIDATES, accuracy_table, learning_table, ranking_table
from ntklab.records import Record
from tests.prompt_worlds import world

METHODS = ("lora", "tt-delta", "tera", "full", "peft:vera", "peft:ia3")


@pytest.fixture(scope="module")
def record():
    return world(
        PANEL,
        [
            {"variant": f"{method}-a", "method": method, "lambda_min": 0.0 if k == 5 else k + 1.0}
            | {"accuracy_adam": 0.6 + 0.03 * k, "predicted_accuracy": 0.6 + 0.03 * k}
            for k, method in enumerate(METHODS)
        ],
    )


@pytest.mark.parametrize("name", ["accuracy", "ranking", "curves"])
def test_each_figure_is_drawn_from_the_record_alone(record, tmp_path, name):
    record.write(tmp_path / PANEL)
    paths = draw_plate(plate(f"prompt-{name}"), tmp_path, tmp_path / "out")
    assert all(path.stat().st_size > 100 for path in paths)
    caption = paths[-1].read_text()
    assert "5 seeds" in caption
    if name != "curves":
        assert "a made-up model, 64 shots a class, 500 test sentences" in caption


def test_points_are_means_with_intervals(record):
    table = accuracy_table(record)
    assert len(table) == 12
    row = table[2]
    values = [r["accuracy_adam"] for r in record.results if r["variant"] == "tera-a"]
    assert row["measured"] == pytest.approx(sum(values) / 5)
    assert row["measured_low"] < row["measured"] < row["measured_high"]


def test_every_candidate_says_how_it_ranks(record):
    table = ranking_table(record)
    assert {row["figure"] for row in table} == set(CANDIDATES)
    rho = {row["figure"]: row["rho"] for row in table}
    assert rho["lambda_min"] == pytest.approx(1 - 6 * 30 / (6 * 35))  # last of six becomes first
    assert rho["log_params"] is not None


def test_curves_of_four_methods(record):
    table = learning_table(record)
    assert {row["variant"] for row in table} == {f"{method}-a" for method in METHODS[:4]}
    assert {row["series"] for row in table} == {"measured", "predicted"}
    assert all(row["seeds"] == 5 for row in table)


def test_a_record_without_them_gets_a_sentence(tmp_path):
    bare = Record("pair", {}, {}, [{"variant": "a", "seed": 0, "cell": "x", "method": "lora"}])
    with pytest.raises(InputError, match="no column 'predicted_accuracy'"):
        accuracy_table(bare)
    rows = [dict(bare.results[0]) | {"accuracy_sgd": 0.5}]
    with pytest.raises(InputError, match="no curves of predicted test accuracy"):
        learning_table(Record("pair", {}, {}, rows))
    assert "ntklab pair --task prompt" in plate("prompt-accuracy").missing(tmp_path)
