"""What captions say of seeds, sizes and sources, and what rows must have to be drawn."""

import numpy as np
import pytest

from ntklab.errors import InputError
from ntklab.figures.captions import interval, seeds_of, sizes_of, sources
from ntklab.figures.rows import column, need
from ntklab.figures.save import to_csv
from ntklab.records import Record

MADE = {"commit": "0123456789", "dirty": True, "started": "2026-01-02T03:04:05+00:00"}


def record(*rows, **config):
    return Record("spectrum", config, MADE, list(rows))


def row(seed, **more):
    return {"task": "synthetic", "samples": 8, "seed": seed, **more}


def test_seeds_are_counted_once_and_rows_without_one_are_no_seed():
    assert seeds_of(record(row(0), row(0), row(3), row(None))) == 2


@pytest.mark.parametrize(("seeds", "word"), [(1, "one seed"), (2, "2 seeds"), (30, "30 seeds")])
def test_one_seed_has_no_interval(seeds, word):
    assert word in interval(seeds)
    assert ("no interval" in interval(seeds)) == (seeds == 1)


def test_sizes_are_those_of_the_configuration_where_it_has_them():
    assert sizes_of(record(row(0), samples=64)).startswith("synthetic, N = 64 samples, one seed")
    assert "N = 8 samples (N·C = 16)" in sizes_of(record(row(0, outputs=16), row(1)))


def test_sources_say_where_changes_were_not_committed():
    one, both = {"a": record(row(0))}, {"a": record(row(0)), "b": record(row(0))}
    assert sources(one) == (
        "Record: `a` (ntklab spectrum, commit 0123456 with changes, 2026-01-02)."
    )
    assert sources(both).startswith("Records: `a` (")
    assert sources({"c": Record("bounds", {}, {}, [])}) == "Record: `c` (ntklab bounds)."


def test_what_is_absent_is_drawn_as_nothing():
    drawn = column([{"x": 1}, {}, {"x": None}, {"x": 2.5}], "x")
    np.testing.assert_array_equal(drawn, [1.0, np.nan, np.nan, 2.5])
    assert drawn.dtype == np.float64


def test_a_column_that_one_row_has_is_there():
    need(record(row(0), row(1, rank=3)), "rank", "seed", command="ntklab spectrum")
    with pytest.raises(InputError, match="no column 'trace', which this figure draws"):
        need(record(row(0)), "seed", "trace", command="ntklab spectrum")


def test_a_table_with_quotes_and_commas_is_read_back():
    import csv
    import io

    rows = [{"a": 'said "so", twice', "b": 1.5}, {"a": "two\nlines", "c": None}]
    again = list(csv.DictReader(io.StringIO(to_csv(rows), newline="")))
    assert [one["a"] for one in again] == [one["a"] for one in rows]
    assert [one["b"] for one in again] == ["1.5", ""]
    assert [one["c"] for one in again] == ["", ""]
