"""The pages of docs/: their examples run, and Sphinx builds them without a complaint."""

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

from ntklab.claims.report import markdown_index, markdown_page, report_of
from ntklab.records import Record
from ntklab.reproduce.prediction_page import BEGIN, END, result_section

DOCS = Path(__file__).parents[1] / "docs"
CODE = "../../paper_checks"


@pytest.mark.parametrize("name", ["spectrum.md", "models.md", "layers.md", "prediction.md"])
def test_examples_of_a_page_run(name):
    found = doctest.testfile(str(DOCS / name), module_relative=False, encoding="utf-8")
    assert found.attempted > 5
    assert found.failed == 0


def test_the_pages_of_claims_are_those_of_their_records():
    """Made by `ntklab claims report docs/claims/PACK... --out docs/claims --code CODE`."""
    claims = DOCS / "claims"
    records = [Record.read(path.parent) for path in sorted(claims.glob("*/record.json"))]
    assert all(record.config["effort"] == "full" for record in records)
    report = report_of(*records)
    assert len(report.pages) == len(records) > 2
    assert (claims / "index.md").read_text(encoding="utf-8") == markdown_index(report)
    for page in report.pages:
        text = (claims / f"{page.pack.name}.md").read_text(encoding="utf-8")
        assert text == markdown_page(page, CODE)
        for name in page.pack.ids:
            assert (claims / CODE / page.pack.name / f"{name}.py").is_file()


def test_the_result_on_prediction_is_that_of_the_records():
    """Made by `python -m ntklab.reproduce.prediction_page figures/records docs/prediction.md`."""
    text = (DOCS / "prediction.md").read_text(encoding="utf-8")
    kept = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert kept == result_section(DOCS.parent / "figures" / "records")


def test_docs_build_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="needs the extra docs")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html",
         "-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "html")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "html" / "api" / "spectra.html").is_file()
