import numpy as np
import pytest

from ntklab.errors import InputError
from ntklab.figures.bench import bench_figure, bench_table
from ntklab.records import Record


def kernel(case, contender, seconds, floor=0.1):
    return {
        "kind": "kernel", "case": case, "contender": contender, "seconds": seconds,
        "floor_asked_seconds": floor, "runs": 5,
    }  # fmt: skip


def point(case, axis, value, seconds):
    return {"kind": "point", "case": case, "axis": axis, "value": value, "seconds": seconds,
            "contender": "structured"}  # fmt: skip


@pytest.fixture
def record():
    rows = [
        kernel("relu", "structured", 0.2),
        kernel("relu", "tutorial-jacobian", 10.0),
        kernel("relu", "loop", None),
        kernel("mlp", "jacrev", 1.0, floor=None),
        *(point("samples", "N", n, 1e-4 * n) for n in (100, 1000)),
        {"kind": "fit", "case": "samples", "axis": "N", "exponent": 1.0, "exponent_error": 0.0},
    ]
    return Record("bench", {}, {}, rows)


def test_bars_are_the_times_and_the_line_is_the_floor(record):
    figure, table = bench_figure(record)
    relu, mlp, curve = figure.axes
    assert [bar.get_width() for bar in relu.patches] == [10.0, 0.2]
    (line,) = relu.lines
    assert set(line.get_xdata()) == {0.1}
    assert not mlp.lines  # a plain network has no floor
    np.testing.assert_allclose(curve.lines[0].get_ydata(), [0.01, 0.1])
    assert "1.00" in curve.get_legend().get_texts()[0].get_text()
    assert len(table) == 5  # what did not run has no bar


def test_nothing_is_clipped(record):
    figure, _ = bench_figure(record)
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 >= -0.01
    assert box.x1 <= width + 0.01
    assert box.y0 >= -0.01
    assert box.y1 <= height + 0.01


def test_a_record_without_times_is_refused():
    with pytest.raises(InputError, match="no times"):
        bench_table(Record("bench", {}, {}, [{"kind": "fit"}]))
