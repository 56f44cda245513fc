import json

from ntklab.records import check_record

TINY = ("--task", "synthetic", "--samples", "16", "--epochs", "2")


def test_a_measured_run_a_method_and_seed(run):
    result = run("train", "-m", "lora", "-m", "tt-delta", "--seeds", "0:2", "-f", "json", *TINY)
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    check_record(record)
    assert [(row["method"], row["seed"]) for row in record["results"]] == [
        *(("lora", 0), ("lora", 1), ("tt-delta", 0), ("tt-delta", 1))
    ]
    for row in record["results"]:
        assert row["steps"] == 2
        assert row["gap"] == row["test_loss"] - row["train_loss"]
        assert row["steps_per_second"] > 0
        assert "predicted_loss" not in row


def test_clean_and_noisy_images_are_both_judged(run):
    result = run("train", "-m", "lora", "--images", "20", "--epochs", "1", "--watched", "4")
    assert result.exit_code == 0, result.stderr
    for word in ("noisy", "clean", "NTK regime", "steps/s"):
        assert word in result.stdout


def test_the_released_script_end_to_end(run):
    arguments = ("-m", "lora", "--end-to-end", "--images", "10", "--epochs", "1", "-f", "json")
    result = run("train", *arguments)
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)["results"]
    assert row["params_with_conv1"] == 5192
    assert row["gpu"] == "not yet measured on GPU"
    refused = run("train", "-m", "tera", "--end-to-end", "--images", "10")
    assert refused.exit_code == 2
    assert "has no released script" in refused.stderr


def test_a_divergence_is_in_the_table(run):
    arguments = ("--optimizer", "gd", "--loss", "squared", "--lr", "1e6")
    result = run("train", "-m", "lora", *arguments, *TINY[:4], "--steps", "20")
    assert result.exit_code == 0, result.stderr
    assert "diverged at step" in result.stdout
