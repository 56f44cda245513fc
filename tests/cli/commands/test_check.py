import json
from dataclasses import replace

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

    monkeypatch.setattr("paper_checks.tensorguide.eq01.CHECK", replace(CHECK, measure=broken))
    done = run("eq01")
    assert done.exit_code == 1
    assert "nothing to divide" in done.stdout


def test_json_is_the_record(run):
    done = run("eq01", "--format", "json")
    assert json.loads(done.stdout)["schema"] == "ntklab/1"


def test_a_new_pack_gives_a_report(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["claims", "new", "mine"])
    assert done.exit_code == 0
    assert "next: ntklab check --pack mine" in done.stdout
    done = run("--pack", "mine", "--out", "page")
    assert done.exit_code == 0
    assert "FALSE" in done.stdout
    assert "at 0 of 6 heads" in done.stdout
    pages = {name: (tmp_path / "page" / name).read_text() for name in ("index.html", "mine.html")}
    assert 'href="mine.html"' in pages["index.html"]
    assert "Every parameter counts" in pages["mine.html"]
    done = CliRunner().invoke(app, ["claims", "report", "page", "--out", "again", "--pack", "mine"])
    assert done.exit_code == 0
    assert (tmp_path / "again" / "mine.html").read_text() == pages["mine.html"]


def test_the_list_computes_nothing(run):
    done = run("--list", "--pack", "tensorguide", "--format", "json")
    rows = {row["check"]: row for row in json.loads(done.stdout)}
    assert rows["tensorguide/eq01"]["full"] == 30
    assert rows["tensorguide/table1"]["records"] == "pairs-table1"
    assert run("--list", "eq01").stdout.count("/eq01") == 1


def test_what_is_not_judged_says_so(run, tmp_path):
    done = run("fig4", "--records", tmp_path)
    assert done.exit_code == 0
    assert "DATA absent" in done.stdout
    assert "`ntklab reproduce` makes those of the project" in done.stderr
    assert "tensorguide/fig4" in done.stderr


def test_an_unknown_pack_is_one_sentence(run):
    done = run("--pack", "nowhere")
    assert done.exit_code == 2
    assert "no pack 'nowhere'" in done.stderr


@pytest.mark.parametrize("backend", ["threading", "dask"])
def test_claims_are_judged_wherever_they_are_computed(run, backend, cluster):
    done = run("eq01", "eq02", "--backend", backend, "--jobs", "2", "--format", "json")
    assert done.exit_code == 0, done.stderr
    verdicts = [row for row in json.loads(done.stdout)["results"] if row["entry"] == "verdict"]
    assert [row["check"] for row in verdicts] == ["tensorguide/eq01", "tensorguide/eq02"]
    assert all(row["verdict"] for row in verdicts)
