"""The page says what its record says, and nothing is lost around the tables."""

from pathlib import Path

import pytest

from ntklab.bench import bench_markdown, write_between_marks
from ntklab.bench.report import BEGIN, END, bench_tables
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


def made(*rows, **config):
    provenance = {"threads": 2, "started": "now", "versions": {"torch": "2"}, "commit": "c" * 40}
    return Record("bench", {"machine": "a machine", **config}, provenance, list(rows))


KERNEL = {
    **{"kind": "kernel", "case": "lora", "contender": "loop", "params": 8, "outputs": 4},
    **{"seconds": 0.01234, "runs": 3, "relative_error": 1e-7, "peak_bytes": 3 << 20},
}
CHECK = {
    **{"kind": "check", "case": "self-check", "contender": "jacrev", "params": 8, "outputs": 4},
    **{"chunk": 2, "seconds": 2.0, "check_seconds": 0.05, "share": 0.0256},
}
BLOCK = {
    **{"kind": "block", "case": "block-size", "contender": "by shifts", "seconds": 0.5, "runs": 3},
    **{"block_bytes": 1 << 20, "ratio_fastest": 1.0, "chosen": True},
}


def test_a_table_shows_what_its_rows_have_and_no_empty_column():
    (heading, rows), *others = bench_tables(made(KERNEL)).items()
    assert (heading, others) == ("Full kernels", [])
    assert rows[0]["seconds"] == "0.0123"
    assert rows[0]["error"] == "1e-07"
    assert rows[0]["peak"] == "3.0 MiB"
    assert "× tutorial" not in rows[0]


def test_each_kind_has_a_table_in_the_order_of_the_page():
    tables = bench_tables(made(CHECK, BLOCK, KERNEL))
    assert list(tables) == [
        *("Full kernels", "Rows by what is held at a time", "Engines compared with loop")
    ]
    assert tables["Engines compared with loop"][0]["share"] == "2.6%"
    assert tables["Rows by what is held at a time"][0]["chosen"] == "yes"


def test_a_long_reason_is_cut_and_its_bars_are_replaced():
    (row,) = bench_tables(made(KERNEL | {"reason": "a|b " + "c" * 99, "seconds": None}))[
        "Full kernels"
    ]
    assert row["note"].startswith("a/b ccc")
    assert row["note"].endswith("…")
    assert len(row["note"]) == 44
    assert "seconds" not in row


def test_the_caption_says_machine_threads_commit_and_form():
    caption = bench_markdown(made(KERNEL, quick=True)).splitlines()[0]
    for words in ("(quick form)", "a machine", "2 threads", "torch 2", "commit cccccccccc;"):
        assert words in caption
    assert "quick form" not in bench_markdown(made(KERNEL))
