"""The worked example of docs/packs.md, written into an empty folder and run as the page says."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ntklab.claims import Verdict
from ntklab.cli.main import app

PAGE = (Path(__file__).parents[2] / "docs" / "packs.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("packs")
    for name, text in re.findall(r"`(early/\w+\.py)`:\n\n```python\n(.*?)```", PAGE, re.S):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text)
    assert sorted(path.name for path in place.rglob("*.py")) == [
        "__init__.py",
        "ranks.py",
        "start.py",
    ]
    return place


def run(line):
    return CliRunner().invoke(app, shlex.split(line)[1:])


def test_the_example_runs(folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = json.loads(run("ntklab check --pack early ranks --format json").stdout)
    assert before["results"][0]["absent"] == "spectra-2, spectra-8"
    block = PAGE.split("checking is one line:")[1].split("```")[1]
    for line in block.strip().splitlines():
        done = run(line)
        assert done.exit_code == 0, done.output
    rows = json.loads((folder / "page" / "record.json").read_text())["results"]
    verdicts = {row["check"]: row["verdict"] for row in rows if row["entry"] == "verdict"}
    assert verdicts["early/start"] == "OK"
    assert verdicts["early/ranks"] in ("OK", "FALSE")
    assert not any(row.get("absent") for row in rows)
    assert "early/ranks" in (folder / "page" / "early.html").read_text()


def test_the_page_says_what_each_verdict_means():
    for word in Verdict:
        assert f"| {word} | {word.meaning}" in PAGE
