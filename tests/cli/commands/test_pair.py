import csv
import io
import json

import pytest

from ntklab.records import Record, check_record

TINY = (
    "--task",
    "synthetic",
    "--samples",
    "16",
    "--epochs",
    "1",
    "--rates",
    "0.01",
    "--seeds",
    "0:2",
)


def test_both_settings_of_two_methods_with_the_sentences(run):
    result = run("pair", "-m", "lora", "-m", "tensorguide", *TINY)
    assert result.exit_code == 0, result.stderr
    for word in ("matched", "released", "lora", "tensorguide", "NTK regime: yes for 0 of 8 runs"):
        assert word in result.stdout
    assert "2 seeds cannot decide between lora and tensorguide" in result.stdout


def test_a_run_is_resumed_with_plot_and_markdown(run, tmp_path, monkeypatch):
    out, plot, told = tmp_path / "run", tmp_path / "curves.pdf", tmp_path / "table.md"
    arguments = ("pair", "-m", "lora", "-m", "tensorguide", "--matched", *TINY, "--out", out)
    first = run(*arguments, "--format", "json")
    check_record(json.loads(first.stdout))
    from ntklab.experiments.training.heads import cell as module

    monkeypatch.setattr(module, "train", None)  # nothing is trained again
    again = run(*arguments, "--plot", plot, "--markdown", told, "--format", "csv")
    assert again.exit_code == 0, again.stderr
    rows = list(csv.DictReader(io.StringIO(again.stdout)))
    record = Record.read(out)
    assert [float(row["test_accuracy"]) for row in rows] == [
        row["test_accuracy"] for row in record.results
    ]
    assert plot.exists()
    assert (tmp_path / "curves.csv").exists()
    text = told.read_text()
    assert "Table 1" in text
    assert "Claim: TensorGuide is the most accurate" in text
    other = run(*arguments, "--batch", "8")
    assert other.exit_code == 2
    assert "choose another --out" in other.stderr


def test_ctrl_c_keeps_the_finished_cells(run, tmp_path, monkeypatch):
    from ntklab.experiments.training.heads import cell as module

    arguments = ("pair", "-m", "lora", "--matched", *TINY, "--out", tmp_path)
    real, calls = module.train, []

    def interrupted(*args, **options):
        calls.append(1)
        if len(calls) == 3:  # two trainings a cell: the second cell is cut short
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(module, "train", interrupted)
    stopped = run(*arguments)
    assert stopped.exit_code == 130
    assert "run it again" in stopped.stderr
    assert len(list((tmp_path / "cells").glob("*.json"))) == 1
    assert run(*arguments).exit_code == 0
    assert len(calls) == 5


def test_a_long_cell_moves_the_bar(monkeypatch):
    """The bar is told of a share of the cell, from which it tells the time that is left."""
    from contextlib import contextmanager

    from ntklab.cli import console
    from ntklab.cli.options import Run
    from ntklab.cli.training_options import run_pairs
    from ntklab.experiments.training.experiment import TRAIN
    from ntklab.experiments.training.heads.config import PairConfig

    told = []

    @contextmanager
    def watched():
        yield lambda done, total, config: told.append((done, total))

    monkeypatch.setattr(console, "progress_bar", watched)
    cell = {"task": "synthetic", "samples": 16, "settings": "own", "steps": 20, "watched": 0}
    configs = [PairConfig.of(method="lora", seed=seed, predict=False, **cell) for seed in (0, 1)]
    run_pairs(TRAIN, configs, Run())
    assert {total for _, total in told} == {2}
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 3


def test_a_dry_run_counts_and_trains_nothing(run):
    result = run("pair", "--table", "2", "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "60 training runs" in result.stdout
    assert "tensorguide M=4096" in result.stdout
    quick = run("pair", "--quick", "--dry-run", "--released")
    assert "21 training runs" in quick.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--method", "lorra"), "did you mean 'lora'"),
        (("--settings", "fair"), "unknown settings 'fair'"),
        (("--rates", "0"), "--rates '0'"),
        (("--table", "4"), "table 4 is not reproduced here"),
        (("--method", "lora", "--width", "8"), "--width has no meaning for lora"),
        (("--data-condition", "both"), "unknown data condition 'both'"),
    ],
)
def test_bad_words_are_one_sentence(run, arguments, told):
    result = run("pair", *arguments, "--dry-run")
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("backend", ["threading", "dask"])
def test_runs_are_the_same_wherever_they_are_trained(run, backend, cluster):
    words = ("pair", "-m", "lora", "--matched", *TINY, "--format", "json")
    here, there = run(*words), run(*words, "--backend", backend, "--jobs", "2")
    assert there.exit_code == 0, there.stderr
    rows = [json.loads(one.stdout)["results"] for one in (here, there)]
    for first, second in zip(*rows, strict=True):
        assert second["train_loss"] == pytest.approx(first["train_loss"], rel=1e-9)
