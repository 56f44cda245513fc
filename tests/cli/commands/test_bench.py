import json

import pytest

import ntklab.bench.cases as all_cases
from ntklab.bench import Curve, KernelCase, Problem
from ntklab.records import Record


@pytest.fixture
def tiny(monkeypatch):
    problem = Problem("tensorguide", 4, 6, 2, {"width": 4})
    points = (problem, problem.with_samples(8))
    cases = (KernelCase("tiny", problem, problem), Curve("tiny-curve", "N", points, points))
    monkeypatch.setattr(all_cases, "CASES", {case.name: case for case in cases})


SHORT = ("bench", "--repeats", "1", "--threads", "1", "--no-peak")


def test_json_is_the_record_and_the_folder_holds_it(run, tiny, tmp_path):
    done = run(*SHORT, "--out", str(tmp_path), "--format", "json")
    assert done.exit_code == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["command"] == "bench"
    assert printed["results"] == Record.read(tmp_path).results


def test_a_record_is_drawn_and_tabled_again_without_measuring(run, tiny, tmp_path):
    assert run(*SHORT, "--out", str(tmp_path)).exit_code == 0
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nbelow\n")
    kept = ("--record", str(tmp_path / "record.json"))
    done = run("bench", *kept, "--plot", str(tmp_path / "b.pdf"), "--markdown", str(page))
    assert done.exit_code == 0, done.stderr
    assert "structured" in done.stdout
    assert {path.name for path in tmp_path.glob("b.*")} == {"b.pdf", "b.png", "b.csv"}
    text = page.read_text()
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert "old" not in text
    assert "| tiny | structured |" in text


def test_an_unknown_case_is_one_sentence(run):
    done = run("bench", "--case", "relu1024")
    assert done.exit_code == 2
    assert "did you mean 'relu-1024'" in done.stderr
