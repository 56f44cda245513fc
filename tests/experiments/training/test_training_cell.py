"""A pair against the library called by hand, and against itself."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ntklab.dynamics import linearize
from ntklab.errors import InputError
from ntklab.experiments.executors import compute
from ntklab.experiments.rates import HEAD_RATES
from ntklab.experiments.run import Experiment, record_of
from ntklab.experiments.training.heads.cell import run_pair
from ntklab.experiments.training.heads.config import BASELINES, PairConfig, pair_methods
from ntklab.experiments.training.heads.data import model_for, pair_data, validation_split
from ntklab.experiments.training.heads.end_to_end import as_released, image_data, run_end_to_end
from ntklab.jacobians import ntk
from ntklab.tasks import load_task
from ntklab.training import RELEASED, Data, train

SMALL = {"task": "synthetic", "samples": 16}
OWN = {**SMALL, "settings": "own", "optimizer": "gd", "batch": None, "steps": 30, "watched": 16}


def test_lazy_pair_is_predicted_to_one_percent_and_certified():
    cell = run_pair(PairConfig.of(method="lora", alpha=100.0, loss="squared", **OWN))
    assert cell.row["prediction_error"] < 0.01
    assert cell.row["drift_max"] < 0.06
    assert cell.row["ntk_regime"] is True


def test_prediction_error_falls_like_one_over_alpha():
    """Chizat et al. 2019: what the linearization misses is of first order in 1/α, if σ is smooth.

    With ReLU it is not: at kinks the error falls more slowly.
    """
    smooth = PairConfig.of(
        method="tensorguide", width=32, activation="tanh", loss="squared", alpha=100.0, **OWN
    )
    errors = [
        run_pair(replace(smooth, alpha=alpha)).row["prediction_error"] for alpha in (100.0, 1000.0)
    ]
    assert 5 < errors[0] / errors[1] < 20


def test_released_pair_is_refused_by_the_certificate():
    cell = run_pair(PairConfig.of(method="lora", settings="released", epochs=2, watched=8, **SMALL))
    assert cell.row["ntk_regime"] is False
    assert "Adam" in cell.row["ntk_regime_because"]


@pytest.mark.parametrize("loss", ["squared", "cross-entropy"])
def test_prediction_is_that_of_the_kernel_at_the_start(loss):
    config = PairConfig.of(method="lora", loss=loss, lr=0.05, **OWN)
    cell = run_pair(config)
    task, data = pair_data(config)
    _, model = model_for(config, task)
    K = ntk(model, data.inputs)
    f0 = model(data.inputs).detach()
    steps = cell.arrays["step"].astype(int).tolist()
    expected = linearize(K, f0, data.targets, loss=loss).descent(steps, 0.05).loss
    np.testing.assert_allclose(cell.arrays["predicted_loss"], expected, rtol=1e-7)
    run = train(model, data, config.training(0.05))
    np.testing.assert_array_equal(cell.arrays["train_loss"], run.column("train_loss"))


def test_measured_loss_stays_under_the_mended_bound_in_the_lazy_regime():
    config = PairConfig.of(method="lora", alpha=100.0, loss="cross-entropy", **OWN)
    cell = run_pair(config)
    bound, loss = cell.arrays["mended_bound"], cell.arrays["train_loss"]
    known = np.isfinite(bound)
    assert known.any()
    assert (loss[known] <= bound[known] * (1 + 1e-6)).all()


def test_matched_methods_share_base_layer_batch_and_rates():
    bases = []
    for method in ("lora", "tensorguide", "dense-head", "linear-probe"):
        config = PairConfig.of(method="lora", seed=3, **SMALL).for_method(method)
        task, _ = pair_data(config)
        head, _ = model_for(config, task)
        bases.append(head.base.weight)
        assert (config.batch, config.rates, config.epochs) == (16, HEAD_RATES, 15)
    assert all(torch.equal(base, bases[0]) for base in bases)


def test_the_matched_rate_is_the_best_on_rows_that_are_not_trained_on():
    config = PairConfig.of(method="linear-probe", rates=(1e-3, 3e-2), epochs=3, watched=0, **SMALL)
    row = run_pair(config).row
    task, data = pair_data(config)
    split = validation_split(data, config.compute.seed)
    scores = {}
    for rate in config.rates:
        _, model = model_for(config, task)
        final = train(model, split, config.training(rate)).final
        scores[rate] = (final["validation_accuracy"], -final["validation_loss"])
    assert row["lr"] == max(scores, key=scores.get)
    assert row["validation_accuracy"] == max(scores.values())[0]


def test_validation_rows_are_training_rows_and_no_others():
    data = Data(torch.arange(20.0)[:, None], torch.arange(20))
    split = validation_split(data, seed=1)
    held = split.tests["validation"][1]
    assert sorted([*split.targets.tolist(), *held.tolist()]) == list(range(20))
    assert len(held) == 4


@pytest.mark.parametrize("method", [*RELEASED, *BASELINES])
def test_released_settings_are_those_of_the_script(method):
    config = PairConfig.of(method=method, settings="released", lr=5.0, batch=3)
    script = RELEASED.get(method, RELEASED["tensorguide"])
    assert (config.lr, config.batch, config.adapter.preset) == (script.lr, script.batch, "released")


def test_a_divergence_is_told_with_step_and_limit():
    cell = run_pair(PairConfig.of(method="lora", lr=1e6, loss="squared", **OWN))
    assert cell.row["diverged"] is True
    assert "diverged at step" in cell.row["reason"]
    assert "2/λ_max" in cell.row["reason"]


def test_equal_configurations_give_equal_cells_and_a_readable_record(tmp_path):
    configs = [PairConfig.of(method=m, lr=0.01, **OWN) for m in ("lora", "dense-head")]
    one, two = (compute(configs, run_pair) for _ in range(2))
    assert json.dumps([c.row for c in one]) == json.dumps([c.row for c in two])
    for a, b in zip(one, two, strict=True):
        assert all(a.arrays[k].tobytes() == b.arrays[k].tobytes() for k in a.arrays)
    versions = dict.fromkeys(("python", "torch", "numpy", "scipy", "ntklab"), "1")
    made = {"versions": versions, "device": "cpu", "dtype": "float64", "threads": 1}
    made |= {"commit": None, "started": "now", "seconds": 1.0}
    experiment = Experiment(name="pair", config=PairConfig, cell=run_pair, columns={})
    record = record_of(experiment, configs, one, {}, made)
    record.write(tmp_path)
    assert type(record).read(tmp_path).results == json.loads(record.to_json())["results"]


def test_both_conditions_are_judged():
    config = PairConfig.of(method="lora", images=20, epochs=1, predict=False, watched=0, lr=0.01)
    row = run_pair(config).row
    assert row["noisy_accuracy"] == row["test_accuracy"]
    assert row["clean_accuracy"] is not None
    assert row["ntk_regime"] is None


def test_end_to_end_trains_what_the_script_trains_and_says_that_it_is_smaller():
    config = as_released(PairConfig.of(method="tensorguide", images=10, epochs=1))
    row = run_end_to_end(config).row
    assert (row["params_with_conv1"], row["batch"], row["lr"]) == (4276, 16, 3e-3)
    assert row["end_to_end"] is True
    assert row["scale_of_run"] == "smaller: 1 of 15 epochs, 10 of 2000 images"
    assert row["gpu"] == "not yet measured on GPU"
    with pytest.raises(InputError, match="no released script"):
        run_end_to_end(as_released(PairConfig.of(method="tera", images=10)))


def test_images_are_split_as_the_task_is():
    data = image_data(PairConfig.of(method="lora", images=12))
    task = load_task("quantum-dot", images=12, cache=None)
    assert data.targets.tolist() == task.train.labels.tolist()
    assert data.tests["test"][1].tolist() == task.test.labels.tolist()
    assert data.tests["clean"][0].shape == (2, 1, 50, 50)


def test_bad_words_are_refused_in_a_sentence():
    with pytest.raises(InputError, match="did you mean 'lora'"):
        pair_methods(["lorra"])
    with pytest.raises(InputError, match="samples = 1"):
        PairConfig.of(method="lora", samples=1)
    with pytest.raises(InputError, match="optimizer"):
        PairConfig.of(method="lora", optimizer="newton")
    config = PairConfig.of(method="dense-head", rank=2, **SMALL)
    task, _ = pair_data(config)
    with pytest.raises(InputError, match="dense-head has no use for"):
        model_for(config, task)
