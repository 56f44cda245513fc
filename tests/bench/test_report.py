"""The page says what its record says, and nothing is lost around the tables."""

from pathlib import Path

import pytest

from ntklab.bench import bench_markdown, write_between_marks
from ntklab.bench.report import BEGIN, END
from ntklab.errors import InputError
from ntklab.records import Record

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_shows_its_record():
    kept = DOCS / "bench" / "record.json"
    page = (DOCS / "engines.md").read_text(encoding="utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0].strip()
    if not kept.exists():
        assert shown == "Nothing yet: run the command above."
        return
    assert shown == bench_markdown(Record.read(kept))


def test_what_is_around_the_marks_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"one\n{BEGIN}old{END}\ntwo\n")
    write_between_marks(page, "new")
    write_between_marks(page, "newer")
    assert page.read_text() == f"one\n{BEGIN}\n\nnewer\n\n{END}\ntwo\n"


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}"])
def test_a_page_without_one_pair_of_marks_is_refused(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(InputError, match="once each"):
        write_between_marks(page, "new")
    assert page.read_text() == text


def test_a_missing_page_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no page"):
        write_between_marks(tmp_path / "none.md", "new")
