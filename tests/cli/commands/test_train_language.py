"""`ntklab train --task wikitext`: options, refusals, folders; and the real model where it is."""

import importlib
import json
import os

import pytest
import torch

from ntklab.errors import InputError
from ntklab.experiments.training.cells import language_cells
from ntklab.tasks import HiddenStates, NextToken, find_smollm2

language = importlib.import_module("ntklab.experiments.training.language.cell")

WORDS = ("train", "--task", "wikitext")


def made_up(d=6, v=30, n=64):
    g = torch.Generator().manual_seed(0)
    frozen = torch.randn(v, d, generator=g)
    truth = frozen + torch.randn(v, 1, generator=g) @ torch.randn(1, d, generator=g)

    def split(name):
        phi = torch.randn(n, d, generator=g)
        labels = torch.softmax(phi @ truth.T, 1).multinomial(1, generator=g)[:, 0]
        return HiddenStates(phi, labels, name)

    told = {"model": "made up", "context": n, "stride": n}
    told["windows"] = {"train": 1, "valid": 1, "test": 1}
    return NextToken(split("a"), split("b"), split("c"), frozen, None, told)


@pytest.fixture
def texts(monkeypatch):
    asked = []

    def load(**given):
        asked.append(given)
        return made_up()

    monkeypatch.setattr(language, "load_next_token", load)
    language._TEXTS.clear()
    yield asked
    language._TEXTS.clear()


def test_a_run_gives_a_record_with_perplexities(run, texts, tmp_path):
    result = run(*WORDS, "--method", "lora", "--rank", 2, "--steps", 9, "--look", 3, "-f", "json")
    assert result.exit_code == 0, result.stderr
    row = json.loads(result.stdout)["results"][0]
    assert (row["params"], row["steps"]) == (72, 9)
    assert row["test_perplexity"] > 1
    assert row["baseline_perplexity"] > 1


def test_options_reach_the_texts(run, texts):
    options = ("--model", "some/model", "--context", 64, "--stride", 32, "--windows", "3,2,1")
    assert run(*WORDS, "--steps", 1, "--width", 1, *options).exit_code == 0
    [asked] = texts
    assert (asked["model"], asked["context"], asked["stride"]) == ("some/model", 64, 32)
    assert [asked[f"{name}_windows"] for name in ("train", "valid", "test")] == [3, 2, 1]


def test_a_folder_is_resumed_and_refuses_another_run(run, texts, tmp_path):
    out = ("--out", tmp_path / "run")
    first = run(*WORDS, "--steps", 5, *out, "-f", "json")
    again = run(*WORDS, "--steps", 5, *out, "-f", "json")
    assert json.loads(first.stdout)["results"] == json.loads(again.stdout)["results"]
    other = run(*WORDS, "--steps", 6, *out)
    assert other.exit_code == 2
    assert "steps = 5, not 6" in other.stderr


def test_table_3_prints_its_sentences_and_writes_a_page(run, texts, tmp_path):
    page = tmp_path / "table.md"
    options = ("--table", 3, "--seeds", "0:2", "--steps", 2, "--rates", "0.003", "--batch", 8)
    plot = tmp_path / "table.png"
    result = run(*WORDS, *options, "--markdown", page, "--plot", plot)
    assert result.exit_code == 0, result.stderr
    assert plot.exists()
    assert "pairs of a TensorGuide and a LoRA" in result.stdout
    assert "Judged by `ntklab check tensorguide/table3`" in result.stdout
    assert "| frozen | 0 |" in page.read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--images", 20), "--images has no meaning for --task wikitext"),
        (("--epochs", 2), "--epochs has no meaning for --task wikitext"),
        (("--samples", 9), "--samples (see --windows) has no meaning for --task wikitext"),
        (("--optimizer", "gd"), "unknown optimizer 'gd'"),
        (("--windows", "3,2"), "three counts"),
        (("--head", "ad"), "did you mean 'add'"),
        (("--table", 2), "--table 2"),
        (("--table", 3, "--width", 4), "--width is decided by --table 3"),
        (("--steps", 0), "steps = 0 must be at least 1"),
    ],
)
def test_bad_options_are_one_sentence(run, texts, options, sentence):
    result = run(*WORDS, *options)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_other_tasks_refuse_its_options(run):
    result = run("train", "--task", "synthetic", "--windows", "1,1,1")
    assert result.exit_code == 2
    assert "--windows has no meaning for --task synthetic" in result.stderr


def test_quick_is_a_default_that_the_command_line_changes():
    [config] = language_cells({"steps": 7, "model": "gpt2"}, quick=True)
    assert (config.steps, config.text.train_windows, config.keep_logits) == (7, 8, True)


def test_a_method_keeps_only_its_own_sizes():
    both = language_cells({"rank": 3, "model": "gpt2"}, ["lora", "tera"])
    assert [config.variant for config in both] == ["lora r=3", "tera r=3"]
    with pytest.raises(InputError, match="unknown method"):
        language_cells({"model": "gpt2"}, ["lorra"])


@pytest.mark.skipif(
    find_smollm2() is None or "NTKLAB_SLOW_TESTS" not in os.environ,
    reason="needs SmolLM2 in the cache (python -m ntklab.tasks.wikitext) and NTKLAB_SLOW_TESTS: "
    "reading the windows takes a minute of two cores",
)
def test_the_real_model_ends_below_its_baseline(run):
    options = ("--method", "tensorguide", "--width", 4, "--quick", "-f", "json")
    found = [json.loads(run(*WORDS, *options).stdout)["results"][0] for _ in range(2)]
    assert found[0]["test_perplexity"] < found[0]["baseline_perplexity"]
    assert found[0]["test_loss"] == found[1]["test_loss"]
