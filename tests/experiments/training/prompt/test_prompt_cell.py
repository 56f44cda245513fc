"""One fine-tuning run: its row, its resume, and a model that the prediction is exact for."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ntklab.errors import InputError
from ntklab.experiments.run import run
from ntklab.experiments.training.prompt.cell import prompt_task, run_prompt
from ntklab.experiments.training.prompt.experiment import PROMPT
from ntklab.experiments.training.prompt.prediction import (
    Known,
    curve_columns,
    kernel_columns,
    prediction_columns,
)
from ntklab.experiments.training.prompt.search import search_of
from tests.tasks.prompt.conftest import SENTENCES

COUNTS = {"train": 8, "valid": 8, "test": 10}


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "bert"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_row_of_a_causal_and_a_masked_model(config, architecture, method):
    cell = run_prompt(config(architecture, method=method, lr=0.01))
    row = cell.row
    assert (row["train_samples"], row["test_samples"]) == (8, 10)
    assert 0 <= row["test_accuracy"] <= 1
    assert row["drift_max"] > 0
    assert cell.arrays["kernel"].shape == (8, 8)
    assert cell.arrays["kernel_others"].shape == (18, 8)
    assert np.isfinite(cell.arrays["valid_loss"]).all()
    right = (cell.arrays["final_outputs"][:, 0] > 0) == (cell.arrays["labels"][-10:] == 1)
    assert right.mean() == pytest.approx(row["test_accuracy"])


def test_the_kept_parameters_have_the_least_validation_loss(config):
    cell = run_prompt(config(lr=0.1, epochs=6, patience=6))
    losses = cell.arrays["valid_loss"]
    assert cell.row["valid_loss"] == pytest.approx(losses.min())
    assert cell.row["best_step"] == cell.arrays["step"][losses.argmin()]


def test_patience_ends_a_run(config):
    cell = run_prompt(config(lr=30.0, optimizer="sgd", epochs=40, patience=2))
    assert cell.row["stopped_early"]
    assert cell.row["steps"] < 80


def test_a_probe_follows_its_prediction(config):
    """The probe is linear in its weights: descent by small steps is the predicted gradient flow."""
    one = config(
        **{"method": "linear-probe", "dtype": "float64", "loss": "squared", "optimizer": "sgd"},
        **{"batch": 8, "lr": 0.01, "epochs": 30, "patience": 30},
    )
    cell = run_prompt(one)
    known = Known.of(cell.arrays, COUNTS)
    times = torch.from_numpy(cell.arrays["step"]) * cell.row["rate"]
    curves = curve_columns(known, times, "squared")
    looked = np.isfinite(cell.arrays["test_loss"])
    np.testing.assert_allclose(
        cell.arrays["test_loss"][looked], curves["predicted_test_loss"][looked], rtol=0.01
    )
    np.testing.assert_allclose(
        cell.arrays["test_accuracy"][looked], curves["predicted_test_accuracy"][looked]
    )
    assert cell.row["drift_max"] < 1e-9
    assert cell.row["ntk_regime"]


def test_columns_of_the_kernel(config):
    cell = run_prompt(config(lr=0.01, method="full", dtype="float64"))
    known = Known.of(cell.arrays, COUNTS)
    row, K = kernel_columns(known), known.kernel
    values = torch.linalg.eigvalsh(K)
    y = 2.0 * known.labels["train"].double() - 1
    H = torch.eye(8).double() - 1 / 8
    centred = torch.linalg.eigvalsh(H @ K @ H)
    assert row["lambda_min"] == pytest.approx(float(values[0]))
    assert row["lambda_min_over_mean"] == pytest.approx(float(values[0] / values.mean()))
    assert row["centred_lambda_min"] == pytest.approx(float(centred[1]))
    assert row["centred_condition"] == pytest.approx(float(centred[-1] / centred[1]))
    assert row["label_alignment"] == pytest.approx(float(y @ K @ y / (values[-1] * 8)))
    Y = torch.outer(y, y)
    wanted = float((H @ K @ H * Y).sum() / ((H @ K @ H).norm() * (H @ Y @ H).norm()))
    assert row["kernel_target_alignment"] == pytest.approx(wanted)
    r = y - known.outputs["train"][:, 0]
    assert row["label_complexity"] ** 2 == pytest.approx(float(r @ torch.linalg.solve(K, r) / 4))


def test_predictions_do_not_see_the_test_classes(config):
    cell = run_prompt(config(lr=0.01))
    known = Known.of(cell.arrays, COUNTS)
    row, outputs = prediction_columns(known)
    other = {**known.labels, "test": 1 - known.labels["test"]}
    turned = Known(known.kernel, known.cross, known.sign, known.outputs, other)
    turned_row, turned_outputs = prediction_columns(turned)
    assert row["predicted_by"] == turned_row["predicted_by"]
    assert row["predicted_accuracy"] == pytest.approx(1 - turned_row["predicted_accuracy"])
    for name, values in outputs.items():
        np.testing.assert_array_equal(values, turned_outputs[name])


def test_a_search_is_one_for_all_seeds(config):
    first, second = config(seed=0), config(seed=7)
    assert search_of(first) == search_of(second) != search_of(config(method="full"))
    cell = run_prompt(search_of(config(rates=(1e-3, 1e-2, 1e5))))
    tried = dict(zip(cell.arrays["rates"][::-1], cell.arrays["losses"][::-1], strict=True))
    assert cell.row["lr"] in (1e-3, 1e-2)
    assert tried[cell.row["lr"]] == pytest.approx(cell.row["valid_loss"])


def test_a_run_makes_one_row_of_both_optimizers(config):
    cells = [config(optimizer=name, rates=(1e-2, 0.1)) for name in ("adam", "sgd")]
    record = run(PROMPT, cells)
    rows = record.results
    assert len(rows) == 1
    assert rows[0]["lr_adam"] in (1e-2, 0.1)
    assert rows[0]["lr_at_end_adam"]  # of two rates each is an end
    assert rows[0]["rate_sgd"] != rows[0]["lr_sgd"]  # in units of the stability limit
    assert {"accuracy_adam", "accuracy_sgd", "condition", "predicted_accuracy"} <= rows[0].keys()
    assert f"{rows[0]['cell_sgd']}.predicted_test_loss" in record.arrays
    assert not any(name.endswith(".kernel") for name in record.arrays)


def test_three_classes(config, tmp_path):
    """All logits are the kernel's outputs; what the columns say is checked against its parts."""
    path = tmp_path / "three.tsv"
    names = ("worse", "same", "better")
    rows = [f"{names[k % 3]}\t{text}" for k, text in enumerate(SENTENCES)]
    path.write_text("\n".join(["verdict\ttext", *rows]) + "\n")
    given = {
        **{"data": str(path), "rating_column": None, "label_column": "verdict"},
        **{"classes": "worse,same,better", "words": "bad,fine,good", "dtype": "float64"},
    }
    one = config(**given, lr=0.01)
    record, cell = run(PROMPT, [one]), run_prompt(one)
    (row,) = record.results
    assert cell.arrays["kernel"].shape == (12 * 3, 12 * 3)
    assert cell.arrays["final_outputs"].shape == (10, 3)
    assert row["kernel_rows"] == 36
    assert np.mean(cell.arrays["final_outputs"].argmax(1) == cell.arrays["labels"][-10:]) == (
        pytest.approx(row["accuracy_adam"])
    )
    known = Known.of(cell.arrays, {"train": 12, "valid": 12, "test": 10})
    Y = torch.nn.functional.one_hot(known.labels["train"]).double() - 1 / 3
    y = Y.reshape(-1)
    largest = float(torch.linalg.eigvalsh(known.kernel)[-1])
    wanted = float(y @ known.kernel @ y) / (largest * float(y @ y))
    assert row["label_alignment"] == pytest.approx(wanted)
    for way in ("flow", "ridge", "cross_entropy"):
        assert 0 <= row[f"predicted_accuracy_{way}"] <= 1
    assert row["predicted_accuracy_sign"] is None  # of one output only
    start = known.outputs["test"]
    assert row["zero_shot_accuracy"] == pytest.approx(
        float((start.argmax(1) == known.labels["test"]).double().mean())
    )


def test_a_killed_cell_ends_with_the_same_bits(config, tmp_path):
    one = config(lr=0.01, epochs=200, patience=200)
    whole = run_prompt(one)
    script = Path(__file__).with_name("prompt_to_be_killed.py")
    settings = json.dumps(one.to_dict() | {"data": one.data.path, "model": one.data.model})
    command = [sys.executable, str(script), settings, str(tmp_path)]
    process = subprocess.Popen(command)
    checkpoint = tmp_path / "train" / "checkpoint.safetensors"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    again = run_prompt(one, running=tmp_path)
    assert again.row == whole.row
    for name, values in whole.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], values)


def test_data_are_needed(config):
    with pytest.raises(InputError, match="give --data FILE"):
        prompt_task(config(data=None))


@pytest.mark.parametrize(
    ("method", "least", "most"), [("lora", 1e-4, 2.0), ("linear-probe", 0, 1e-4)]
)
def test_how_far_a_run_is_from_linear_in_the_weights(config, method, least, most):
    row = run_prompt(config(method=method, lr=0.1, predict=False)).row
    assert least <= row["weights_linearization_error_max"] <= most


def test_full_fine_tuning_adds_nothing_to_weights(config):
    cell = run_prompt(config(method="full", lr=0.001, epochs=1, predict=False))
    assert "weights_linearization_error" not in cell.arrays
    assert cell.row.get("weights_linearization_error_max") is None
