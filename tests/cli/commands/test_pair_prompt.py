"""`ntklab pair` and `ntklab dynamics` on prompts: a small panel, and a sentence for bad data."""

import json

import pytest

from ntklab.records import check_record
from tests.tasks.prompt.conftest import folders, table  # noqa: F401 - fixtures

FEW = ("--words", "bad,good", "--layers=-2:", "--test", "10", "--shots", "4", "--epochs", "3")


@pytest.fixture
def pair(run, folders, table):  # noqa: F811
    """`ntklab pair --task prompt` on a tiny model and 60 rated sentences."""

    def call(*arguments, command="pair", data=table, column="rating"):
        rating = () if column is None else ("--rating-column", column)
        given = ("--task", "prompt", "--data", data, "--model", folders["llama"], *rating)
        return run(command, *given, *FEW, *arguments)

    return call


def test_a_quick_panel_is_resumed(pair, tmp_path, monkeypatch):
    given = ("--quick", "-m", "lora,tt-delta", "--rates", "0.01", "--out", tmp_path / "run")
    first = pair(*given, "--format", "json")
    assert first.exit_code == 0, first.stderr
    record = json.loads(first.stdout)
    check_record(record)
    rows = record["results"]
    assert [row["method"] for row in rows] == ["lora", "tt-delta"]
    for row in rows:
        assert 0 <= row["predicted_accuracy"] <= 1
        assert 0 <= row["accuracy_adam"] <= 1
        assert row["lambda_min_over_mean"] >= 0
    from ntklab.experiments.training.prompt import cell

    monkeypatch.setattr(cell, "finetune", None)  # nothing is trained again
    again = pair(*given)
    assert again.exit_code == 0, again.stderr
    assert "tt-delta" in again.stdout
    assert "predicted" in again.stdout


def test_a_folder_grows_by_methods_but_not_by_another_template(pair, tmp_path):
    given = ("--seeds", "0", "--lr", "0.01", "--out", tmp_path / "run")
    assert pair(*given, "-m", "linear-probe").exit_code == 0
    grown = pair(*given, "-m", "linear-probe", "-m", "peft:ia3", "--format", "json")
    assert grown.exit_code == 0, grown.stderr
    assert len(json.loads(grown.stdout)["results"]) == 2
    refused = pair(*given, "-m", "linear-probe", "--template", "{text} :")
    assert refused.exit_code == 2
    assert "template" in refused.stderr


def test_a_record_of_what_is_finished(pair, tmp_path):
    """One method by both optimizers and one by Adam, of all that was asked for; nothing is run."""
    folder = tmp_path / "run"
    given = ("--seeds", "0:2", "--rates", "0.01", "--out", folder)
    none = pair(*given, "-m", "all", "--finished")
    assert none.exit_code == 2
    assert "no run is finished" in none.stderr
    assert pair(*given, "-m", "linear-probe", "--optimizer", "both").exit_code == 0
    assert pair(*given[2:], "-m", "peft:ia3", "--seeds", "1").exit_code == 0
    files = sorted((folder / "cells").iterdir())
    part = pair(*given, "-m", "all", "--optimizer", "both", "--finished", "--format", "json")
    assert part.exit_code == 0, part.stderr
    rows = json.loads(part.stdout)["results"]
    sgd = {(row["method"], row["seed"]): row.get("accuracy_sgd") is not None for row in rows}
    assert sgd == {("linear-probe", 0): True, ("linear-probe", 1): True, ("peft:ia3", 1): False}
    assert sorted((folder / "cells").iterdir()) == files
    homeless = pair("-m", "all", "--finished")
    assert homeless.exit_code == 2
    assert "name it with --out DIR" in homeless.stderr


def test_the_panel_says_what_it_will_do(pair):
    result = pair("--method", "all", "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "26 variants" in result.stdout
    assert "26 searches" in result.stdout


def test_a_panel_of_one_method(pair):
    result = pair("--panel", "sharing", "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "4 variants" in result.stdout
    assert "unknown panel 'wide'" in pair("--panel", "wide").stderr


def test_curves_of_one_method(pair):
    given = ("-m", "linear-probe", "--lr", "0.1", "--batch", "8")
    result = pair(*given, command="dynamics")
    assert result.exit_code == 0, result.stderr
    assert "predicted" in result.stdout
    assert "NTK regime" in result.stdout
    refused = pair("--lr", "0.1", command="dynamics")
    assert refused.exit_code == 2
    assert "one method" in refused.stderr


BAD = {
    "no such column": (("--text-column", "body"), "body"),
    "too few shots": (("--shots", "40"), "shots"),
    "too many test sentences": (("--test", "1000"), "remain"),
    "words that are unknown": (("--words", "bad,splendid"), "splendid"),
    "one word for two classes": (("--words", "bad"), "word"),
    "a template without text": (("--template", "It was"), "{text}"),
    "thresholds in the wrong order": (("--thresholds", "1,-1"), "thresholds"),
    "thresholds in words": (("--thresholds", "low,high"), "thresholds"),
    "only one class": (("--thresholds", "-9,1"), "classes"),
    "layers beyond the model": (("--layers", "-9:"), "blocks"),
    "layers in words": (("--layers", "last"), "layers"),
    "layers that are not there": (("--targets", "w_proj"), "w_proj"),
    "an unknown method": (("-m", "lore"), "lora"),
    "an unknown method of peft": (("-m", "peft:loro"), "peft:lo"),
    "an option of heads": (("--images", "20"), "--images"),
    "both kinds of classes": (("--label-column", "rating"), "give one"),
}


@pytest.mark.parametrize(("options", "word"), BAD.values(), ids=BAD)
def test_bad_data_get_a_sentence(pair, options, word):
    method = () if "-m" in options else ("-m", "lora")
    result = pair("--seeds", "0", "--lr", "0.01", *method, *options)
    assert result.exit_code == 2, result.stdout
    assert word in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_files_that_are_no_table(pair, tmp_path, run):
    text = tmp_path / "films.tsv"
    text.write_text("rating\ttext\nfine\ta film\n")
    for data, word in ((text, "no number"), (tmp_path / "absent.tsv", "absent.tsv")):
        result = pair("-m", "lora", "--lr", "0.01", data=data)
        assert result.exit_code == 2
        assert word in result.stderr
    result = run("pair", "--task", "prompt", "-m", "lora")
    assert result.exit_code == 2
    assert "--data FILE" in result.stderr
    neither = pair("-m", "lora", "--lr", "0.01", column=None)
    assert neither.exit_code == 2
    assert "label" in neither.stderr


def test_prompts_options_mean_nothing_elsewhere(run):
    for command in ("pair", "dynamics"):
        result = run(command, "-m", "lora", "--task", "synthetic", "--shots", "4")
        assert result.exit_code == 2
        assert "--shots has no meaning for --task synthetic" in result.stderr
    result = run("pair", "-m", "lora", "--panel", "shapes")
    assert result.exit_code == 2
    assert "--panel shapes needs --task prompt" in result.stderr
