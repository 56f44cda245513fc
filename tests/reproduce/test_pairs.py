import re
from pathlib import Path

import pytest

from ntklab.errors import InputError
from ntklab.records import Record
from ntklab.reproduce.pairs import pairs
from ntklab.reproduce.setting import Setting
from ntklab.reproduce.steps import STEPS
from ntklab.reproduce.training_page import FIGURES, records_in, training_page, write_training_page

REPOSITORY = Path(__file__).parents[2]


def test_the_step_trains_draws_and_says(tiny, tmp_path):
    assert pairs in STEPS
    section = pairs(Setting(tmp_path, quick=True, device="cpu"))
    record = Record.read(tmp_path / "records" / "pairs-table1")
    assert len(record.results) == 7 * 2 * 2
    for word in ("Table 1", "Claim: TensorGuide", "NTK regime: yes for", "Figure 4"):
        assert word in section
    assert "](figures/training-methods.png)" in section
    assert (tmp_path / "figures" / "training-methods.png").exists()
    # the page of the same record
    written = write_training_page(tmp_path / "records", tmp_path / "page")
    page = written[0].read_text()
    assert record.results[0]["variant"] in page
    assert "not yet measured on GPU." in page
    assert {path.suffix for path in written} == {".md", ".pdf", ".png", ".csv"}


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(InputError, match="pairs-table1"):
        write_training_page(tmp_path, tmp_path)
    tables = {f"pairs-table{number}" for number in (1, 2, 5)}
    assert set(FIGURES) == tables | {"table3", "table3-gpu"}


def test_the_committed_page_is_that_of_its_records(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    records, folder = Path("figures/records"), Path("figures")
    page = (folder / "tables-training.md").read_text(encoding="utf-8")
    assert page == training_page(records_in(records), records, folder)
    for name in re.findall(r"\]\(([\w.-]+)\)", page):
        assert (folder / name).exists()
