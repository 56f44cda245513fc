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
