"""The pages of docs/: their examples run, and Sphinx builds them without a complaint."""

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

from ntklab.claims.report import markdown_index, markdown_page, report_of
from ntklab.records import Record

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", ["spectrum.md", "models.md"])
def test_examples_of_a_page_run(name):
    found = doctest.testfile(str(DOCS / name), module_relative=False, encoding="utf-8")
    assert found.attempted > 5
    assert found.failed == 0


def test_the_pages_of_claims_are_those_of_their_record():
    """Made by `ntklab check --full` and `ntklab claims report docs/claims FOLDER`."""
    record = Record.read(DOCS / "claims")
    assert record.config["effort"] == "full"
    report = report_of(record)
    assert (DOCS / "claims" / "index.md").read_text(encoding="utf-8") == markdown_index(report)
    for page in report.pages:
        text = (DOCS / "claims" / f"{page.pack.name}.md").read_text(encoding="utf-8")
        assert text == markdown_page(report, page)


def test_docs_build_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="needs the extra docs")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html",
         "-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "html")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "html" / "api" / "spectra.html").is_file()
