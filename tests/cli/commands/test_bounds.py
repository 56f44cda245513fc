import csv
import json

import pytest

from ntklab.records import Record, check_record

FEW = ("--steps", "10", "--draws", "100")


def test_json_is_one_valid_record_with_every_ingredient(run, small):
    result = run("bounds", "-m", "lora", "-m", "tera", "--format", "json", *FEW, *small)
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    check_record(record)
    assert {row["method"] for row in record["results"]} == {"lora", "tera"}
    trace = next(row for row in record["results"] if row["name"] == "rademacher-trace")
    assert trace["equation"]
    assert trace["ingredient_trace"] > 0
    rate = next(row for row in record["results"] if row["name"] == "flow-lambda-min")
    assert "λ_min > 0" in rate["assumptions"]


def test_the_table_has_a_line_a_bound(run, small):
    result = run("bounds", "-m", "lora", "--gauge", *FEW, *small)
    assert result.exit_code == 0, result.stderr
    for word in ("rademacher-trace", "flow-lambda-min", "vacuous", "measured", "equal-norm"):
        assert word in result.stdout


def test_a_run_folder_is_resumed(run, small, tmp_path):
    arguments = ("bounds", "-m", "lora", "--format", "json", *FEW, *small, "--out", tmp_path)
    first = run(*arguments)
    cells = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*")}
    again = run(*arguments)
    assert cells == {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*")}
    assert json.loads(first.stdout)["results"] == json.loads(again.stdout)["results"]
    other = run(*arguments, "--delta", "0.1")
    assert other.exit_code == 2
    assert "delta = 0.05, not 0.1" in other.stderr


def test_a_plot_comes_with_its_numbers_and_its_record(run, small, tmp_path):
    result = run("bounds", "-m", "lora", "--plot", tmp_path / "b.pdf", *FEW, *small)
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.csv", "b.json", "b.pdf", "b.png"]
    rows = list(csv.DictReader((tmp_path / "b.csv").open()))
    assert len(rows) == len(Record.read(tmp_path / "b.json").results)


def test_a_dry_run_writes_nothing(run, small, tmp_path):
    out = tmp_path / "run"
    result = run("bounds", "-m", "lora", "--dry-run", "--out", out, *small)
    assert result.exit_code == 0, result.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--delta", "2"), "delta = 2.0"), (("--plot", "a.gif"), "a.gif"), (("-f", "jsn"), "json")],
)
def test_bad_input_is_one_sentence(run, small, arguments, words):
    result = run("bounds", "-m", "lora", *arguments, *small)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
