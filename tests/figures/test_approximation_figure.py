import pytest

from ntklab.errors import InputError
from ntklab.figures.approximation import (
    approximation_caption,
    approximation_figure,
    approximation_table,
    slope,
)
from ntklab.records import Record

RANKS = "1,2,2,1,1"


def rows(width, seed, error):
    common = {"target": "barron", "width": width, "seed": seed, "target_rms": 2.0}
    return [
        common | {"kind": "dense", "tt_ranks": None, "test_error": error, "barron_bound": 80.0},
        common | {"kind": "linear", "tt_ranks": None, "test_error": 1.0, "barron_bound": None},
        common | {"kind": "adapter", "tt_ranks": RANKS, "test_error": 0.8},
        common
        | {"kind": "truncation", "tt_ranks": RANKS, "relative_error": 0.9, "adapter_error": 0.8,
           "relative_error_lower": 0.8, "relative_error_upper": 1.1, "function_error": 0.5,
           "function_bound": 20.0, "sum_bound": 100.0},
    ]  # fmt: skip


@pytest.fixture
def record():
    config = {
        "barron": {"features": 3, "samples": 9, "steps": 5},
        "dense-head": {},
        "seeds": [0, 1],
    }
    found = [
        row
        for seed in (0, 1)
        for width in (64, 256, 1024)
        for row in rows(width, seed, (1 + seed) * 8 / width**0.5)
    ]
    heads = [
        {"target": "dense-head", "kind": "dense", "tt_ranks": None, "width": w, "seed": 0,
         "test_accuracy": 0.9}
        for w in (64, 256)
    ]  # fmt: skip
    return Record("approx", config, {}, found + heads)


def test_the_table_holds_medians_relative_to_the_target(record):
    point = next(
        row
        for row in approximation_table(record)
        if (row["panel"], row["series"], row["network"]) == ("error", "measured", "dense")
    )
    assert (point["width"], point["value"], point["seeds"]) == (64, 0.75, 2)  # of 0.5 and 1.0
    assert (point["low"], point["high"]) == (0.5, 1.0)


def test_slopes_are_those_of_the_curves(record):
    assert slope(record, "dense") == pytest.approx(-0.5)
    assert slope(record, "linear") == pytest.approx(0.0)
    assert slope(record, RANKS) == pytest.approx(0.0)
    assert slope(record, "dense", widths=(64, 64)) is None
    assert "dense head's error: -0.50" in approximation_caption(record)


def test_a_panel_a_family_with_m_on_the_x_axis(record):
    figure, _ = approximation_figure(record)
    assert len(figure.axes) == 5  # no truncation of heads in this record
    for axes in figure.axes:
        assert axes.get_xscale() == "log"
        assert "M" in axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.get_title()
    first = figure.axes[0]
    assert first.get_yscale() == "log"
    drawn = {tuple(line.get_ydata()) for line in first.lines}
    assert any(values == pytest.approx((0.75, 0.375, 0.1875)) for values in drawn)


def test_nothing_is_clipped(record):
    figure, _ = approximation_figure(record)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y0 >= -0.01
    assert box.y1 <= height + 0.01


def test_a_record_of_another_command_is_refused():
    with pytest.raises(InputError, match="ntklab approx"):
        approximation_figure(Record("spectrum", {}, {}, [{"method": "lora", "width": 1}]))
