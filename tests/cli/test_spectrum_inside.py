"""`ntklab spectrum --model`: the same command as for heads, with a tiny random model."""

import json

import pytest
import torch

from tests.tasks.prompt.conftest import SENTENCES, made, save_tokenizer


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model and a table."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("inside")
    (folder / "gpt2").mkdir()
    torch.manual_seed(0)
    count = save_tokenizer(folder / "gpt2", masked=False)
    made("gpt2", count).save_pretrained(folder / "gpt2")
    rows = [f"{k % 2}\t{text}" for k, text in enumerate(SENTENCES)]
    (folder / "films.tsv").write_text("\n".join(["label\ttext", *rows]) + "\n")
    return folder


@pytest.fixture
def inside(place):
    return (
        *("spectrum", "--model", place / "gpt2", "--target", "c_attn", "--layers", "-2:"),
        *("--text", place / "films.tsv", "--label-column", "label", "--device", "cpu"),
        *("--readout", "tokens:bad,good", "--samples", "4"),
    )


def test_a_plan_before_anything_is_loaded(run, inside, place):
    weights = place / "gpt2" / "model.safetensors"
    hidden = weights.rename(weights.with_suffix(".hidden"))
    try:
        result = run(*inside, "-m", "lora", "-m", "tera", "--dry-run")
    finally:
        hidden.rename(weights)
    assert result.exit_code == 0, result.stderr
    assert "no weight was loaded" in result.stdout
    assert "2 spectra, about" in result.stdout
    assert '"readout": "tokens:bad,good"' in result.stdout


def test_methods_beside_each_other_in_a_folder_and_a_figure(run, inside, tmp_path):
    pytest.importorskip("peft")
    whole = (
        *inside,
        *("-m", "lora", "-m", "peft:dora", "--seeds", "0:2", "--per-layer"),
        *("--out", tmp_path / "run", "--plot", tmp_path / "layers.pdf", "--format", "json"),
    )
    first = run(*whole)
    assert first.exit_code == 0, first.stderr
    record = json.loads(first.stdout)
    rows = [row for row in record["results"] if row.get("core") is None]
    assert [(row["method"], row["seed"]) for row in rows] == [
        ("lora", 0),
        ("lora", 1),
        ("peft:dora", 0),
        ("peft:dora", 1),
    ]
    assert len(record["results"]) == 4 * 3  # each with its two layers
    assert [row["derivative_exact"] for row in rows] == [True, True, False, False]
    assert record["config"]["target"] == "c_attn"
    assert "task" not in record["config"]
    shares = (tmp_path / "layers.csv").read_text().splitlines()
    assert len(shares) == 1 + 2 * 2  # a method and layer
    cells = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "cells").rglob("*.json")}
    assert cells
    again = json.loads(run(*whole).stdout)
    assert again["results"] == record["results"]
    assert {path: path.stat().st_mtime_ns for path in cells} == cells  # nothing computed anew
    table = run(*inside, "-m", "lora", "-m", "peft:dora", "--seeds", "0:2", "--compare").stdout
    assert "2 of 2" in table or "0 of 2" in table or "1 of 2" in table


def test_a_model_whose_files_changed_is_another_run(run, inside, place, tmp_path):
    words = (*inside, "-m", "lora", "--out", tmp_path / "run")
    assert run(*words).exit_code == 0
    films = place / "films.tsv"
    before = films.read_text()
    films.write_text(before.replace("fine", "good"))
    try:
        result = run(*words)
    finally:
        films.write_text(before)
    assert result.exit_code == 2
    assert "source" in result.stderr


def test_the_help_names_every_setting(run):
    text = run("spectrum", "--help").stdout
    for option in ("--model", "--target", "--layers", "--text", "--readout", "--per-layer"):
        assert option in text
    assert "--model" not in run("bounds", "--help").stdout
