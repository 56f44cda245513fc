"""The worked example of CONTRIBUTING, run: an experiment is one folder and one command."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ntklab.cli.groups import spelled_out
from ntklab.cli.main import _Command, _Commands
from ntklab.cli.options import Program
from ntklab.experiments.run import run
from ntklab.records import Record

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
SMALL = ["--task", "synthetic", "-n", "6"]


@pytest.fixture(scope="module")
def made():
    section = TEXT.partition("## Adding an experiment")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert len(blocks) == 3
    names = {"__name__": "worked_example"}
    for block in blocks:
        exec(compile(block, "CONTRIBUTING.md", "exec"), names)
    return names


@pytest.fixture(scope="module")
def program(made):
    app = typer.Typer(cls=_Commands, rich_markup_mode=None)
    app.command(cls=_Command)(spelled_out(made["trace"], Program))
    app.command("other")(lambda: None)  # one command alone would have no name
    return lambda *words: CliRunner().invoke(app, ["trace", *map(str, words)])


def test_its_options_are_those_of_its_configuration(made, program):
    text = program("--help").output
    for heading in ("Adapter:", "Data:", "Computation:", "Run:", "Result:"):
        assert heading in text
    for key in made["TraceConfig"].flat_fields():
        assert f"--{'seeds' if key == 'seed' else key.replace('_', '-')} " in text


def test_it_runs_resumes_grows_and_refuses(program, tmp_path):
    asked = [*SMALL, "-m", "lora,tera", "--out", tmp_path, "-f", "json", "--jobs", 1]
    first = json.loads(program(*asked, "--seeds", "0:2").stdout)
    assert [(row["method"], row["seed"]) for row in first["results"]] == [
        *(("lora", 0), ("lora", 1), ("tera", 0), ("tera", 1))
    ]
    more = json.loads(program(*asked, "--seeds", "0:3").stdout)["results"]
    known = [row for row in more if row["seed"] < 2]
    assert len(more) == 6
    assert [row["seconds"] for row in known] == [row["seconds"] for row in first["results"]]
    assert Record.read(tmp_path).config["samples"] == 6
    refused = program(*asked, "--seeds", "0:2", "--preset", "paper")
    assert refused.exit_code == 2
    assert "preset = 'ntk', not 'paper'" in refused.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--method", "lorra"], "did you mean 'lora'"),
        (["--samples", "0"], "samples = 0 must be at least 1"),
        (["--seeds", "x"], "write 0:5, 3 or 0,2,5"),
        (["--method", "lora", "--width", "4"], "--width has no meaning for lora"),
        (["--tt-ranks", "a"], "--tt-ranks 'a' is no list of whole numbers"),
        (["--device", "gpu"], "device 'gpu' is unknown"),
        (["--preset", "nkt"], "unknown preset 'nkt'"),
        (["--format", "jsn"], "unknown format 'jsn'"),
    ],
)
def test_bad_words_get_a_sentence_and_exit_code_2(program, words, sentence):
    result = program(*SMALL, *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stdout == ""


def test_the_plan_has_the_configuration_and_the_cells(program):
    text = program(*SMALL, "--seeds", "0:2", "-m", "lora", "--dry-run").stdout
    assert '"samples": 6' in text
    assert text.endswith("2 cells.\n")


def test_from_python_it_is_a_grid_and_a_call(made):
    from ntklab.experiments.grid import Grid

    given = {"task": "synthetic", "samples": 4}
    cells = Grid(made["TraceConfig"], given, {"method": ("lora",), "seed": range(2)}).cells()
    record = run(made["TRACE"], cells)
    assert record.command == "trace"
    assert all(row["trace"] > 0 for row in record.results)


def test_ctrl_c_says_how_to_go_on(made, program, tmp_path, monkeypatch):
    def stopped(config):
        raise KeyboardInterrupt

    monkeypatch.setitem(made, "TRACE", replace(made["TRACE"], cell=stopped))
    words = [*SMALL, "-m", "lora", "--jobs", 1]
    kept, lost = program(*words, "--out", tmp_path), program(*words)
    assert kept.exit_code == lost.exit_code == 130
    assert f"run it again: {tmp_path}" in kept.stderr
    assert "give --out DIR" in lost.stderr
