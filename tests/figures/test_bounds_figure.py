import pytest

from ntklab.errors import InputError
from ntklab.figures.bounds import bounds_figure, bounds_table
from ntklab.records import Record


def row(method, name, value, measured=None, vacuous=False, seed=0, direction="upper"):
    return {
        "kind": "bound", "method": method, "name": name, "value": value, "measured": measured,
        "vacuous": vacuous, "seed": seed, "equation": "18", "form": "paper",
        "direction": direction,
    }  # fmt: skip


@pytest.fixture
def record():
    rows = [
        row("lora", "trace", 1.0, 0.5),
        row("lora", "trace", 3.0, 0.7, seed=1),
        row("lora", "lambda-min", None, vacuous=True),
        row("tera", "trace", 4.0, 0.5, vacuous=True),
    ]
    return Record("bounds", {}, {}, rows)


def test_the_table_holds_medians_over_seeds(record):
    trace, lam, other = bounds_table(record)
    assert (trace["value"], trace["measured"], trace["seeds"]) == (2.0, 0.6, 2)
    assert lam["value"] is None
    assert other["method"] == "tera"


def test_the_figure_draws_what_the_table_says(record):
    figure, _ = bounds_figure(record)
    lora, tera = figure.axes
    assert lora.get_title() == "LoRA"
    drawn = {(line.get_marker(), line.get_xdata()[0]) for line in lora.lines}
    assert {("|", 0.6), ("<", 2.0)} <= drawn
    assert [text.get_text() for text in lora.get_yticklabels()] == ["trace", "lambda-min"]
    assert [(text.get_text(), text.get_position()[1]) for text in lora.texts] == [("–", 1)]
    hollow = next(line for line in tera.lines if line.get_marker() == "<")
    assert hollow.get_markerfacecolor() == "white"


def test_nothing_is_clipped(record):
    figure, _ = bounds_figure(record)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y0 >= -0.01
    assert box.y1 <= height + 0.01


def test_a_record_without_bounds_is_refused():
    with pytest.raises(InputError, match="no bounds"):
        bounds_figure(Record("spectrum", {}, {}, [{"method": "lora"}]))
