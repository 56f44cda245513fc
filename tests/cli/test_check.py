import json

import pytest
from typer.testing import CliRunner

from ntklab.cli.main import app
from paper_checks.tensorguide.eq01 import CHECK


@pytest.fixture
def run():
    return lambda *words: CliRunner().invoke(app, ["check", *map(str, words)])


def test_a_claim_is_told_in_full(run):
    done = run("eq01")
    assert done.exit_code == 0
    assert "OK" in done.stdout
    assert CHECK.claim.title in done.stdout
    assert "random shapes" in done.stdout


def test_a_run_leaves_record_and_reports_and_resumes(run, tmp_path):
    assert run("eq01", "--out", tmp_path).exit_code == 0
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["command"] == "check"
    assert record["results"][0]["verdict"] == "OK"
    assert "<math" in (tmp_path / "tensorguide.html").read_text()
    assert "eq01" in (tmp_path / "tensorguide.md").read_text()
    cell = next((tmp_path / "cells").iterdir())
    before = cell.stat().st_mtime_ns
    assert run("eq01", "--out", tmp_path).exit_code == 0
    assert cell.stat().st_mtime_ns == before


def test_another_effort_is_refused(run, tmp_path):
    run("eq01", "--out", tmp_path)
    done = run("eq01", "--full", "--out", tmp_path)
    assert done.exit_code == 2
    assert "effort" in done.stderr


def test_unknown_claim_is_one_sentence(run):
    done = run("eq99")
    assert done.exit_code == 2
    assert "unknown claim 'eq99'" in done.stderr


def test_a_check_that_cannot_run_is_exit_code_1(run, monkeypatch):
    def broken(effort):
        raise ArithmeticError("nothing to divide")

    monkeypatch.setattr(
        "paper_checks.tensorguide.eq01.CHECK", type(CHECK)(CHECK.claim, broken, CHECK.judge)
    )
    done = run("eq01")
    assert done.exit_code == 1
    assert "nothing to divide" in done.stdout


def test_json_is_the_record(run):
    done = run("eq01", "--format", "json")
    assert json.loads(done.stdout)["schema"] == "ntklab/1"
