import csv
import io
import json

import pytest

PUBLISHED = {1024: (1140, 4276), 2048: (1156, 4292), 4096: (1220, 4356)}


@pytest.mark.parametrize("width", PUBLISHED)
def test_the_published_parameter_counts(run, width):
    result = run("info", "--method", "tensorguide", "--width", width, "--format", "json")
    (row,) = json.loads(result.stdout)
    assert (row["parameters"], row["parameters_with_conv1"]) == PUBLISHED[width]
    assert row["macs"] == width * (512 + 2)
    assert row["rank_bound"] == 512
    assert sum(a * n * m * b for a, n, m, b in row["cores"]["cores"]) == row["parameters"]


def test_the_page_says_what_a_person_asks(run):
    page = run("info", "--method", "tensorguide", "--width", "4096").stdout
    for words in ("in [1,2,2,1] out [16,16,257,32]", "1220", "4356", "effective width   128"):
        assert words in page
    assert "acts as 128" in page  # the collapse of theory P2
    assert "257" in page.split("note")[-1]  # a mode that no width factors


def test_all_methods_and_a_language_model_s_head(run):
    result = run("info", "--in-features", "768", "--out-features", "50257", "-m", "lora", "-r", "1")
    assert "51025" in result.stdout
    rows = list(csv.DictReader(io.StringIO(run("info", "--format", "csv").stdout)))
    counts = {row["method"]: row["parameters"] for row in rows}
    assert (counts["lora"], counts["tt-lora"], counts["tensorguide"]) == ("2056", "1764", "1140")


@pytest.fixture
def folder(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=23, n_embd=8, n_layer=3, n_head=2, n_positions=16)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    return tmp_path


def test_adapters_inside_a_model(run, folder):
    inside = ("info", "--model", folder, "--target", "c_attn,c_fc", "--layers", "-2:", "-r", "2")
    (told,) = json.loads(run(*inside, "-m", "lora", "--format", "json").stdout)
    assert (told["count"], told["parameters"]) == (4, 2 * (2 * (8 + 24) + 2 * (8 + 32)))
    assert told["layers"][0]["layer"] == "transformer.h.1.attn.c_attn"
    rows = list(csv.DictReader(io.StringIO(run(*inside, "-m", "lora", "--format", "csv").stdout)))
    assert [row["parameters"] for row in rows] == ["64", "80"] * 2
    table = run(*inside, "-m", "lora", "--format", "markdown").stdout
    assert "transformer.h.2.mlp.c_fc" in table
    page = run("info", "--model", folder, "--target", "c_attn", "--method", "all").stdout
    assert "tera in 3 layers" in page
    assert "shared, frozen" in page
    assert "3 × (8 to 24)" in page


def test_bad_words_inside_a_model(run, folder):
    for arguments, words in (
        (("--model", folder, "--target", "c_atn"), "did you mean 'c_attn'"),
        (("--model", folder, "--layers", "9"), "the model has 3 layers"),
        (("--layers", "9"), "give --model as well"),
    ):
        result = run("info", "-m", "lora", *arguments)
        assert result.exit_code == 2
        assert words in result.stderr.replace("\n", " ")
