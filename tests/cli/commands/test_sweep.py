import json

import pytest

from ntklab.cli import options
from ntklab.experiments.executors import BACKENDS
from ntklab.records import Record, check_record

GRID = ("-m", "lora", "-m", "tensorguide", "--width", "16:64", "--rank", "1,2", "--jobs", "1")


def test_backends_written_out_for_help_are_those_of_the_library():
    assert options.BACKEND_NAMES == BACKENDS


def test_a_sweep_is_one_record_of_every_point(run, small):
    result = run("sweep", *GRID, "--seeds", "0:2", "--format", "json", *small)
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    check_record(record)
    assert record["command"] == "sweep"
    points = {(row["method"], row["width"], row["seed"]) for row in record["results"]}
    assert len(record["results"]) == len(points) == 8
    assert record["config"]["axes"]["width"] == [None, 16, 64]


def test_a_folder_grows_and_computes_only_what_is_missing(run, small, tmp_path):
    first = run("sweep", *GRID, *small, "--out", tmp_path)
    assert first.exit_code == 0, first.stderr
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*")}
    more = run("sweep", *GRID, *small, "--seeds", "0:2", "--out", tmp_path)
    assert more.exit_code == 0, more.stderr
    now = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*")}
    assert times.items() <= now.items()
    assert len(now) == 2 * len(times)
    assert len(Record.read(tmp_path).results) == 8


def test_another_configuration_is_refused(run, small, tmp_path):
    assert run("sweep", *GRID, *small, "--out", tmp_path).exit_code == 0
    refused = run("sweep", *GRID, *small, "--out", tmp_path, "--preset", "released")
    assert refused.exit_code == 2
    assert "preset = 'ntk', not 'released'" in refused.stderr


def test_a_dry_run_counts_cells_and_writes_nothing(run, small, tmp_path):
    out = tmp_path / "run"
    result = run("sweep", *GRID, "--seeds", "0:3", "--dry-run", "--out", out, *small)
    assert result.exit_code == 0, result.stderr
    assert "12 spectra" in result.stdout
    assert not out.exists()


def test_medians_over_seeds_stand_a_row_a_point(run, small):
    result = run("sweep", *GRID, "--seeds", "0:2", "--compare", "--format", "json", *small)
    rows = json.loads(result.stdout)["results"]
    assert [(row["method"], row["width"], row["seeds"]) for row in rows] == [
        *(("lora", 1, 2), ("lora", 2, 2), ("tensorguide", 16, 2), ("tensorguide", 64, 2))
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--backend", "dusk"), ("did you mean 'dask'",)),
        (("--jobs", "0"), ("jobs = 0",)),
        (("--width", "64:16"), ("'64:16'", "64:4096")),
        (("-m", "linear-probe", "--width", "16"), ("--width", "linear-probe")),
        (("-m", "tensorguide", "--width", "16", "--tt-ranks", "2,2,1"), ("ranks",)),
    ],
)
def test_bad_input_is_one_sentence(run, small, arguments, words, tmp_path):
    method = () if "-m" in arguments else ("-m", "lora")
    result = run("sweep", *method, *arguments, *small, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr
    assert not (tmp_path / "run").exists()


def test_dask_gives_the_rows_of_one_process(run, small, cluster):
    words = ("sweep", "-m", "lora", "--rank", "1,2", "--format", "json", *small)
    there, here = run(*words, "--backend", "dask"), run(*words, "--jobs", "1")
    assert there.exit_code == 0, there.stderr
    rows = [json.loads(one.stdout)["results"] for one in (there, here)]
    for first, second in zip(*rows, strict=True):
        assert first["lambda_max"] == pytest.approx(second["lambda_max"], rel=1e-12)
        assert first["cell"] == second["cell"]


def test_a_scheduler_is_for_dask(run, small):
    refused = run("sweep", "-m", "lora", "--scheduler", "local:2", *small)
    assert refused.exit_code == 2
    assert "needs --backend dask" in refused.stderr
