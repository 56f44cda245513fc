"""Every figure of the catalogue, from its committed records: what a reader of a paper would see."""

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ntklab.experiments.training.panel import PANEL
from ntklab.figures import METHODS, catalogue, plate
from ntklab.figures.captions import sources
from ntklab.records import Record

RECORDS = Path(__file__).parents[2] / "figures" / "records"
# The panel of prompts may wait for its record; its figures are drawn from a made-up one elsewhere.
WAITING = {
    one.name for one in catalogue() if one.needs == (PANEL,) and not (RECORDS / PANEL).is_dir()
}
NAMES = [one.name for one in catalogue() if one.name not in WAITING]


@cache
def records_of(name):
    one = plate(name)
    return {record: Record.read(RECORDS / record) for record in (*one.needs, *one.uses)}


@cache
def drawn(name, venue="neurips"):
    figure, table = plate(name).draw(records_of(name), venue=venue)
    figure.draw_without_rendering()
    return figure, table


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("venue", ["neurips", "icml2024"])
def test_nothing_is_clipped_at_the_width_of_a_venue(name, venue):
    figure, _ = drawn(name, venue)
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 >= -0.02
    assert box.y0 >= -0.02
    assert box.x1 <= width + 0.02
    assert box.y1 <= height + 0.02


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_fits_a_page_and_its_text_can_be_read(name):
    figure, _ = drawn(name)
    width, height = figure.get_size_inches()
    assert width <= 7.5
    assert height <= 9.5
    texts = [text for axes in figure.axes for text in axes.texts if text.get_text().strip()]
    labels = [label for axes in figure.axes for label in (axes.xaxis.label, axes.yaxis.label)]
    shown = [one for one in (*texts, *labels) if one.get_text() and one.get_visible()]
    assert all(one.get_fontsize() >= 4 for one in shown)


@pytest.mark.parametrize("name", NAMES)
def test_lines_have_numbers_and_a_legend_says_each_thing_once(name):
    figure, _ = drawn(name)
    for axes in figure.axes:
        for line in axes.lines:
            values = np.asarray(line.get_ydata(), dtype=float)
            assert not np.isinf(values).any()
        legend = axes.get_legend()
        if legend is not None:
            said = [text.get_text() for text in legend.get_texts()]
            assert len(set(said)) == len(said)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_has_the_same_columns_in_every_row(name):
    _, table = drawn(name)
    assert table
    assert {tuple(row) for row in table} == {tuple(table[0])}


@pytest.mark.parametrize("name", NAMES)
def test_a_caption_is_one_paragraph_without_gaps(name):
    caption = plate(name).caption(records_of(name))
    assert "\n" not in caption
    assert "  " not in caption
    assert caption.endswith(".")
    for word in ("None", "nan", "inf ", "{", "}"):
        assert word not in caption


@pytest.mark.parametrize("name", [name for name in NAMES if plate(name).needs or plate(name).uses])
def test_sources_name_every_record_with_its_command_and_commit(name):
    records = records_of(name)
    said = sources(records)
    for record, made in records.items():
        assert f"`{record}` (ntklab {made.command}, commit {made.provenance['commit'][:7]}" in said


def test_two_drawings_of_one_record_are_equal():
    for name in ("bounds", "drift"):
        one, other = (plate(name).draw(records_of(name)) for _ in range(2))
        assert one[1] == other[1]
        for here, there in zip(one[0].axes, other[0].axes, strict=True):
            for line, same in zip(here.lines, there.lines, strict=True):
                np.testing.assert_array_equal(line.get_xydata(), same.get_xydata())


def test_methods_are_told_apart_in_grey():
    """Where colour is lost, in print or to the eye, marker and lightness are left."""
    for one, other in itertools.combinations(METHODS.values(), 2):
        grey = [
            sum(
                share * int(style.colour[k : k + 2], 16)
                for share, k in ((0.3, 1), (0.59, 3), (0.11, 5))
            )
            for style in (one, other)
        ]
        assert one.marker != other.marker or abs(grey[0] - grey[1]) > 25
