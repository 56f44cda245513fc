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
    (axes,) = figure.axes
    drawn = {(line.get_marker(), line.get_xdata()[0]) for line in axes.lines}
    assert {("|", 0.6), ("<", 2.0)} <= drawn
    assert [text.get_text() for text in axes.get_yticklabels()] == ["trace", "lambda-min"]
    assert [text.get_text() for text in axes.texts] == ["–"]
    triangles = [line for line in axes.lines if line.get_marker() == "<"]
    hollow = [line.get_xdata()[0] for line in triangles if line.get_markerfacecolor() == "white"]
    assert hollow == [4.0]


def test_quantities_share_no_axis_and_are_called_by_words():
    rows = [
        row("lora", "rademacher-trace", 20.0, 15.0),
        row("lora", "rademacher-local", 0.5),
        row("lora", "fit-risk", 55.0, 0.6, vacuous=True),
        {**row("lora", "flow-modes", 8.0, 6.0), "trivial": 16.0},
        row("lora", "kernel-growth", 3.0, 9.0, direction="lower"),
    ]
    figure, table = bounds_figure(Record("bounds", {}, {}, rows))
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert len(panels) == 4
    labels = [t.get_text() for axes in panels.values() for t in axes.get_yticklabels()]
    assert not any(name in labels for name in ("rademacher-trace", "fit-risk", "flow-modes"))
    training = next(r for r in table if r["quantity"] == "training")
    assert (training["value"], training["measured"]) == (0.5, 0.375)
    face = {
        line.get_xdata()[0]: line.get_markerfacecolor()
        for axes in figure.axes
        for line in axes.lines
        if line.get_marker() == "<"
    }
    # a complexity of 20 bounds no risk below 1, whatever its own column says
    assert face[20.0] == "white"
    assert face[0.5] != "white"


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
