"""Before a training: how many there are, of what, and about how long they take."""

import re

import pytest

from ntklab.experiments.training.heads.config import PairConfig
from ntklab.experiments.training.heads.planned import (
    CACHED,
    END_TO_END,
    end_to_end_runs,
    training_runs,
)

ALONE = {"settings": "own", "lr": 0.01}


def test_a_variant_is_a_row_with_its_seeds_rates_and_updates():
    configs = [
        PairConfig.of(method=method, seed=seed, samples=40, epochs=3, batch=16)
        for method in ("lora", "tera")
        for seed in range(2)
    ]
    plan = training_runs(configs)
    expected = {"settings": "matched", "seeds": 2, "rates_tried": 5, "updates": 9}
    assert plan.rows == [{"variant": method, **expected} for method in ("lora", "tera")]
    assert plan.sentences[0].startswith("4 training runs with their predictions, 24 trainings")


def test_predictions_and_searches_are_said_where_there_are_any():
    plan = training_runs([PairConfig.of(method="lora", predict=False, samples=40, **ALONE)])
    assert plan.sentences[0].startswith("1 training run; about")
    assert plan.rows[0]["rates_tried"] is None


@pytest.mark.parametrize(
    ("plan", "speed"), [(training_runs, CACHED), (end_to_end_runs, END_TO_END)]
)
def test_the_time_grows_with_the_updates(plan, speed):
    steps = int(3600 * speed)
    config = PairConfig.of(method="lora", steps=steps, predict=False, **ALONE)
    assert "about 60 minutes" in plan([config]).sentences[0]


def test_simulated_images_are_counted_and_unread_data_are_not_guessed():
    made = training_runs([PairConfig.of(method="lora", images=100, epochs=2, batch=16, **ALONE)])
    assert made.rows[0]["updates"] == 10  # of 80 images
    read = training_runs([PairConfig.of(method="lora", data="diagrams.npz", **ALONE)])
    assert read.rows[0]["updates"] is None
    assert not re.search(r"about \d", read.sentences[0])
