"""Tensor networks as they are drawn: a node a tensor, a line an index, dimensions beside them."""

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon, Rectangle

from ntklab.figures.network import FROZEN, RADIUS, Pen, train


@pytest.fixture
def pen():
    return Pen(Figure().subplots(), "#0072B2", large=7, small=5)


def texts(pen):
    return [text.get_text() for text in pen.axes.texts]


@pytest.mark.parametrize(
    ("shape", "patch"), [("circle", Circle), ("square", Rectangle), ("diamond", Polygon)]
)
def test_a_node_has_its_shape_and_its_name_in_the_middle(pen, shape, patch):
    pen.node((1.0, 2.0), "$G_1$", shape=shape)
    (drawn,) = pen.axes.patches
    assert isinstance(drawn, patch)
    (name,) = pen.axes.texts
    assert name.get_position() == (1.0, 2.0)
    assert name.get_text() == "$G_1$"
    box = drawn.get_extents().transformed(pen.axes.transData.inverted())
    assert (box.x0 + box.x1) / 2 == pytest.approx(1.0)
    assert (box.y0 + box.y1) / 2 == pytest.approx(2.0)


def test_a_trained_tensor_is_coloured_and_a_frozen_one_grey(pen):
    pen.node((0, 0), "a")
    pen.node((1, 0), "b", trained=False)
    faces = [to_hex(patch.get_facecolor()).upper() for patch in pen.axes.patches]
    assert faces == ["#0072B2", FROZEN]
    dark, light = pen.axes.texts
    assert dark.get_color() == "white"  # on a dark face
    assert light.get_color() != "white"


def test_an_index_of_one_value_is_dotted(pen):
    pen.line((0, 0), (1, 0), 1)
    pen.line((0, 1), (1, 1), 4)
    trivial, bond = pen.axes.lines
    assert trivial.get_linestyle() != "-"
    assert bond.get_linestyle() == "-"
    assert bond.get_linewidth() > trivial.get_linewidth()
    assert texts(pen) == ["1", "4"]


@pytest.mark.parametrize("frozen", [True, False])
def test_a_bar_spans_its_indices(pen, frozen):
    pen.bar(1.0, 4.0, 2.0, "core", frozen=frozen)
    (bar,) = pen.axes.patches
    assert isinstance(bar, FancyBboxPatch)
    assert (bar.get_x(), bar.get_width()) == (1.0, 3.0)
    assert (bar.get_linestyle() in ("-", "solid")) == frozen


def test_a_brace_stands_over_what_it_joins(pen):
    pen.brace(0.0, 2.0, 1.0, "$d$")
    (line,) = pen.axes.lines
    assert (min(line.get_xdata()), max(line.get_xdata())) == (0.0, 2.0)
    (name,) = pen.axes.texts
    assert name.get_position()[0] == 1.0


@pytest.mark.parametrize("legs", [(0.95, 0.95), (0.0, 0.95), (0.95, 0.0), (0.0, 0.0)])
def test_a_train_has_its_cores_bonds_and_legs(pen, legs):
    up, down = legs
    cores = [(1, 2, 3, 4), (4, 5, 6, 7), (7, 8, 9, 1)]
    first, last = train(pen, (0.0, 0.0), cores, ["a", "b", "c"], step=1.0, up=up, down=down)
    assert (first, last) == (0.0, 2.0)
    assert len(pen.axes.patches) == 3
    assert len(pen.axes.lines) == 2 + 3 * (up > 0) + 3 * (down > 0)
    said = texts(pen)
    assert [word for word in said if word in "abc"] == ["a", "b", "c"]
    assert {"4", "7"} <= set(said)  # the bonds between the cores, not those at the ends
    assert ({"3", "6", "9"} <= set(said)) == (up > 0)
    assert ({"2", "5", "8"} <= set(said)) == (down > 0)
    bonds = [line for line in pen.axes.lines if len(set(line.get_ydata())) == 1]
    for line in bonds:
        assert abs(line.get_xdata()[1] - line.get_xdata()[0]) == pytest.approx(1 - 2 * RADIUS)
