"""The pages of docs/: their examples run, and Sphinx builds them without a complaint."""

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

from ntklab.records import Record
from paper_checks.report import markdown_report, page_of

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", ["spectrum.md"])
def test_examples_of_a_page_run(name):
    found = doctest.testfile(str(DOCS / name), module_relative=False, encoding="utf-8")
    assert found.attempted > 5
    assert found.failed == 0


def test_the_page_of_claims_is_that_of_its_record():
    """Made by `ntklab check --full` and `python -m paper_checks.report docs/claims FOLDER`."""
    record = Record.read(DOCS / "claims")
    assert (DOCS / "claims.md").read_text(encoding="utf-8") == markdown_report(page_of(record))
    assert record.config["effort"] == "full"


def test_docs_build_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="needs the extra docs")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html",
         "-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "html")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "html" / "api" / "spectra.html").is_file()
