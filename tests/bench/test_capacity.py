"""The formulas of docs/scale.md against explicit counts."""

import pytest

from ntklab.bench.scaled.capacity import (
    Demand,
    Place,
    capacity_rows,
    most_kept,
    most_side,
    most_solved,
)
from ntklab.spectra.routes import gram_bytes


def explicit(samples, outputs, params, chunk):
    """Flops and entries, block by block."""
    flops = entries = count = 0
    for i in range(0, samples, chunk):
        for _ in range(i, samples, chunk):
            first, second = chunk * outputs, chunk * outputs
            flops += 2 * first * second * params
            entries += first * second
            count += 1
    return flops, entries, count


@pytest.mark.parametrize(("samples", "outputs", "params", "chunk"), [(20, 2, 7, 5), (12, 3, 4, 1)])
def test_flops_bytes_and_blocks_are_those_counted(samples, outputs, params, chunk):
    demand = Demand(samples, outputs, params, chunk)
    flops, entries, count = explicit(samples, outputs, params, chunk)
    assert (demand.flops, demand.stored, demand.blocks) == (flops, 4 * entries, count)
    assert demand.rows == 8 * samples * outputs * params
    assert demand.received(1) == 0
    assert demand.received(4) == pytest.approx(0.75 * demand.rows)


def test_what_fits_fits_and_one_more_does_not():
    place = Place("here", 3, 1e9, 8e9, 1e9, 1e9, "")
    side = most_side(place, params=100)
    assert side**2 * 100 <= 3600 * 3 * 1e9 < (side + 1) ** 2 * 100
    assert gram_bytes(most_solved(8e9)) <= 8e9 < gram_bytes(most_solved(8e9) + 1)
    assert most_kept(1e9) ** 2 * 4 / 2 <= 1e9


def test_a_row_for_each_place():
    rows = capacity_rows(1e10, 3e9, 1e11, 1140)
    assert [row["workers"] for row in rows] == [2, 8, 100]
    assert rows[2]["side_in_an_hour"] == pytest.approx(
        50**0.5 * rows[0]["side_in_an_hour"], rel=1e-4
    )
