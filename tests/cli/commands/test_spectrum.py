import csv
import io
import json

import pytest

from ntklab.adapters import METHODS
from ntklab.records import Record, check_record


@pytest.mark.parametrize("method", METHODS)
def test_json_is_one_valid_record(run, small, method):
    result = run("spectrum", "--method", method, "--seeds", "0:2", "--format", "json", *small)
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    check_record(record)
    assert [(row["method"], row["seed"]) for row in record["results"]] == [(method, 0), (method, 1)]
    assert record["config"]["seeds"] == [0, 1]
    assert result.stderr == ""  # nobody watches


def test_csv_has_the_numbers_of_the_record(run, small):
    result = run("spectrum", "-m", "lora", "-m", "tera", "--format", "csv", *small)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["method"] for row in rows] == ["lora", "tera"]
    assert float(rows[0]["lambda_max"]) > 0


def test_the_table_names_every_method(run, small):
    result = run("spectrum", *small)
    assert result.exit_code == 0
    for method in METHODS:
        assert method in result.stdout
    assert "λ min" in result.stdout


def test_compare_gives_medians_with_intervals(run, small):
    arguments = ("spectrum", "-m", "lora", "--seeds", "0:5", "--compare")
    result = run(*arguments, "--format", "json", *small)
    record = json.loads(result.stdout)
    check_record(record)
    (row,) = record["results"]
    assert row["seeds"] == 5
    assert row["lambda_max_low"] <= row["lambda_max"] <= row["lambda_max_high"]
    assert "[" in run(*arguments, *small).stdout


def test_a_run_folder_holds_the_record_and_is_resumed(run, small, tmp_path, monkeypatch):
    arguments = ("spectrum", "-m", "lora", "--seeds", "0:2", "--format", "json", *small)
    first = run(*arguments, "--out", tmp_path)
    from ntklab.experiments import executors as module

    monkeypatch.setattr(module, "_finished", _refuse_to_compute)
    again = run(*arguments, "--out", tmp_path)
    assert again.exit_code == 0, again.stderr
    assert json.loads(first.stdout)["results"] == json.loads(again.stdout)["results"]
    assert len(Record.read(tmp_path).arrays) == 4


def _refuse_to_compute(config, folder, run):
    cell = folder.load(config.to_dict())
    assert cell is not None
    return cell


def test_a_plot_comes_with_its_numbers_and_its_record(run, small, tmp_path):
    result = run("spectrum", "-m", "lora", "--plot", tmp_path / "lora.pdf", *small)
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("lora.csv", "lora.json", "lora.pdf", "lora.png", "lora.safetensors")
    ]
    record = Record.read(tmp_path / "lora.json")
    rows = list(csv.DictReader((tmp_path / "lora.csv").open()))
    assert float(rows[0]["median"]) == record.results[0]["lambda_max"]


def test_a_plot_of_a_run_reads_the_run_s_record(run, small, tmp_path):
    plot = tmp_path / "figure.png"
    result = run("spectrum", "-m", "lora", "--out", tmp_path / "run", "--plot", plot, *small)
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("figure.csv", "figure.pdf", "figure.png", "run")
    ]


def test_a_dry_run_says_everything_and_writes_nothing(run, small, tmp_path):
    out = tmp_path / "run"
    arguments = ("-m", "tt-lora", "-m", "lora", "--seeds", "0:3", "--out", out)
    result = run("spectrum", "--dry-run", *arguments, *small)
    assert result.exit_code == 0, result.stderr
    assert "6 spectra" in result.stdout
    assert "in [" in result.stdout  # the planned shape
    assert '"methods": [' in result.stdout
    assert "iB for Jacobian and solver" in result.stdout
    assert not out.exists()


def test_a_file_of_options_stands_below_the_command_line(run, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        'method = ["tt-delta"]\ntask = "synthetic"\nsamples = 8\nseeds = [0, 2]\n'
        "tt-ranks = [1, 2, 1]\nout_dims = [8, 8]\nformat = 'json'\ndevice = 'cpu'\n"
    )
    result = run("spectrum", "--config", path, "--samples", "4")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["config"]["samples"] == 4
    assert [row["seed"] for row in record["results"]] == [0, 2]
    assert {row["tt_ranks"] for row in record["results"]} == {"1,2,1"}


def test_a_size_goes_to_the_methods_that_use_it(run, small):
    arguments = ("-m", "tensorguide", "-m", "linear-probe", "--width", "16", "--format", "json")
    result = run("spectrum", *arguments, *small)
    assert result.exit_code == 0, result.stderr
    assert [row["width"] for row in json.loads(result.stdout)["results"]] == [16, None]


def test_a_task_without_conditions_has_one_spectrum_a_seed(run, small):
    result = run("spectrum", "-m", "lora", "--data-condition", "both", "-f", "json", *small)
    (row,) = json.loads(result.stdout)["results"]
    assert row["data_condition"] is None


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(run, small, tmp_path, monkeypatch):
    from ntklab.experiments import executors as module

    finished = module._finished

    def stop_at_seed_1(config, *rest):
        if config.compute.seed == 1:
            raise KeyboardInterrupt
        return finished(config, *rest)

    monkeypatch.setattr(module, "_finished", stop_at_seed_1)
    arguments = ("spectrum", "-m", "lora", "--seeds", "0:3", "--out", tmp_path, *small)
    result = run(*arguments)
    assert result.exit_code == 130
    assert str(tmp_path) in result.stderr
    assert result.stdout == ""
    assert len(list((tmp_path / "cells").glob("*.json"))) == 1
    monkeypatch.undo()
    assert run(*arguments).exit_code == 0


def test_both_conditions_of_real_images(run, shared_data):
    result = run(
        *("spectrum", "-m", "lora", "--data", shared_data / "qdflow-csd.npz", "--samples", "16"),
        *("--data-condition", "both", "--format", "json", "--device", "cpu"),
    )
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert [row["data_condition"] for row in record["results"]] == ["clean", "noisy"]
    assert len(set(record["config"]["features"].values())) == 2


def test_a_shared_spectrum_is_that_of_one_process(run, small, cluster, tmp_path):
    pytest.importorskip("zarr", reason="needs the extra cluster")
    words = ("spectrum", "-m", "tensorguide", "-m", "lora", "--format", "json", *small)
    here, there = run(*words), run(*words, "--store", tmp_path / "k.zarr")
    assert there.exit_code == 0, there.stderr
    for first, second in zip(
        *(json.loads(r.stdout)["results"] for r in (here, there)), strict=True
    ):
        assert second["lambda_max"] == pytest.approx(first["lambda_max"], rel=1e-10)
        assert second["rank"] == first["rank"]
        assert (first["cell"], first["trace"]) == (second["cell"], pytest.approx(second["trace"]))
    blocks = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("gram/c/*/*")}
    assert len(blocks) == 2  # one block for each method
    again = run(*words, "--centred", "--store", tmp_path / "k.zarr")  # of the same kernels
    assert again.exit_code == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("gram/c/*/*")} == blocks


def test_a_store_of_another_configuration_is_refused(run, small, cluster, tmp_path):
    pytest.importorskip("zarr", reason="needs the extra cluster")
    words = ("spectrum", "-m", "lora", "--store", tmp_path / "k.zarr", *small)
    assert run(*words).exit_code == 0
    refused = run(*words, "--preset", "released")
    assert refused.exit_code == 2
    assert "holds blocks with preset = 'ntk', not 'released'" in refused.stderr
    assert "--weighted is not shared" in run(*words, "--weighted").stderr
