"""Tables of any width: no number is cut, whatever there is room for."""

import re

from hypothesis import given
from hypothesis import strategies as st

from ntklab.tables import Column, in_terminal, shown, table_of
from ntklab.tables.terminal import letters

WIDTHS = st.integers(20, 200)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9)
WORD = st.text("abcdefghλσ", min_size=1, max_size=9)
PROSE = st.lists(WORD, min_size=1, max_size=12).map(" ".join)


@st.composite
def tables(draw):
    kinds = draw(st.lists(st.sampled_from([NUMBERS, PROSE, WORD]), min_size=1, max_size=12))
    columns = {f"c{i}": Column(f"c{i}", draw(st.integers(0, 3))) for i in range(len(kinds))}
    count = draw(st.integers(1, 4))
    rows = [{f"c{i}": draw(kind) for i, kind in enumerate(kinds)} for _ in range(count)]
    return rows, columns


def numbers_of(rows, columns):
    return [
        shown(row[name])
        for row in rows
        for name, column in columns.items()
        if not column.gives_way and not isinstance(row[name], str)
    ]


@given(tables(), WIDTHS)
def test_numbers_are_whole_and_none_of_the_question_is_lost(given_table, width):
    rows, columns = given_table
    text = in_terminal(table_of(rows, columns), width)
    words = text.split()
    for number in numbers_of(rows, columns):
        assert number in words
    assert "…" not in text


@given(tables(), WIDTHS)
def test_no_line_is_wider_than_the_terminal(given_table, width):
    rows, columns = given_table
    for line in in_terminal(table_of(rows, columns), width).splitlines():
        # A block is as wide as its longest pair of heading and number, at the least.
        longest = max(map(letters, line.split()), default=0)
        assert letters(line) <= max(width, longest + 6)


@given(tables())
def test_where_there_is_room_nothing_gives_way(given_table):
    rows, columns = given_table
    table = table_of(rows, columns)
    lines = in_terminal(table, 10_000).splitlines()
    assert len(lines) == 2 + len(rows)
    assert lines[0].split() == list(table.headings)
    assert set(lines[1]) == {"─"}


def test_columns_give_way_in_order_and_are_named():
    rows = [{"method": "tensorguide", "rank": 1234, "alignment": 0.51, "seconds": 12.25}]
    columns = {
        "method": "method",
        "rank": "rank",
        "alignment": Column("alignment", 1),
        "seconds": Column("s", 2),
    }
    table = table_of(rows, columns)
    wide, middle, narrow = (in_terminal(table, width) for width in (40, 30, 20))
    assert "12.25" in wide
    assert "0.51" in middle
    assert "(no room for: s)" in middle
    assert "12.25" not in middle
    assert "(no room for:" in narrow
    assert "1234" in narrow


def test_sentences_take_several_lines_before_a_column_gives_way():
    sentence = "6.29 is at least 1, which holds without any bound, whatever the data are"
    rows = [{"bound": "fit", "value": 6.29, "reason": sentence, "s": 1.5}]
    columns = {"bound": "bound", "value": "value", "reason": "reason", "s": Column("s", 1)}
    text = in_terminal(table_of(rows, columns), 50)
    assert "1.5" in text
    assert " ".join(re.sub(r"fit|6\.29 {2}|1\.5|─", "", text).split()).count("without any") == 1
    assert len(text.splitlines()) > 3


def test_a_block_names_every_value():
    rows = [{"settings": "matched", "variant": "lora", "accuracy": 0.7917, "drift": 5.484e12}]
    names = {name: name for name in rows[0]}
    assert in_terminal(table_of(rows, names), 24).splitlines() == [
        "settings matched",
        "  variant lora",
        "  accuracy 0.7917",
        "  drift 5.484e+12",
    ]


def test_rows_that_begin_alike_stand_under_what_they_share():
    why = "6.29 is at least 1, which holds without any bound"
    rows = [
        {"method": method, "seed": 0, "bound": bound, "value": value, "reason": reason}
        for method in ("lora", "tensorguide")
        for bound, value, reason in (("trace", 1.25, None), ("kappa", 6.29, why), ("fit", 2.5, ""))
    ]
    text = in_terminal(table_of(rows, {name: name for name in rows[0]}), 30)
    assert text.splitlines()[:9] == [
        "method lora   seed 0",
        "bound  value",
        "trace   1.25",
        "kappa   6.29",
        "  reason: 6.29 is at least 1,",
        "  which holds without any",
        "  bound",
        "fit      2.5",
        "",
    ]
    assert text.count("method") == 2


def test_blocks_say_nothing_of_what_has_no_value():
    rows = [{"variant": "lora", "accuracy": 0.75, "drift": None, "of": "a"}] * 2
    rows += [{"variant": "tera", "accuracy": None, "drift": 0.5, "of": ""}]
    assert in_terminal(table_of(rows, {name: name for name in rows[0]}), 20).splitlines() == [
        *["variant lora", "  accuracy 0.75", "  of a"] * 2,
        *["variant tera", "  drift 0.5"],
    ]
