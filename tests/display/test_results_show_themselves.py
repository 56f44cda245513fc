"""Results as a line, a notebook's table, a frame and axes: what is shown is what was computed."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torch import nn

import ntklab
from ntklab.display import ShortRepr, axes_or_new, brief, frame_of
from ntklab.dynamics import SquaredDynamics
from ntklab.spectra import Spectrum

mpl.use("Agg")


@pytest.fixture
def spectrum():
    return Spectrum.from_values(
        torch.tensor([9.0, 4.0, 1.0]),
        multiplicity=torch.tensor([1, 3, 2]),
        size=8,
        errors=torch.tensor([1e-3, 1e-4, 1e-5], dtype=torch.float64),
    )


def test_a_spectrum_lists_every_eigenvalue_as_often_as_it_occurs(spectrum):
    wanted = [9.0, 4.0, 4.0, 4.0, 1.0, 1.0, 0.0, 0.0]
    assert spectrum.all_eigenvalues.tolist() == wanted
    frame = spectrum.to_frame()
    assert frame["eigenvalue"].tolist() == wanted
    assert frame["index"].tolist() == list(range(1, 9))
    assert frame["error"].tolist() == [1e-3, 1e-4, 1e-4, 1e-4, 1e-5, 1e-5, 0.0, 0.0]
    assert frame["eigenvalue"].sum() == spectrum.trace


def test_a_spectrum_draws_its_rank_with_multiplicity(spectrum):
    axes = spectrum.plot(label="mine", color="red")
    (line,) = axes.lines
    # Of equal values the first and the last are enough to draw the line through all.
    assert line.get_ydata().tolist() == [9.0, 4.0, 4.0, 1.0, 1.0]
    assert line.get_xdata().tolist() == [1, 2, 4, 5, 6]
    assert line.get_label() == "mine, rank 6 of 8"
    assert spectrum.plot(axes) is axes
    assert len(axes.lines) == 2


def test_a_zero_kernel_can_be_drawn():
    axes = Spectrum.from_values(torch.zeros(2), size=2).plot()
    assert axes.lines[0].get_ydata().tolist() == []


def test_the_table_of_a_spectrum_says_what_its_text_says(spectrum):
    table = spectrum._repr_html_()
    for line in repr(spectrum).splitlines()[1:]:
        name, value = line.strip().split("  ", 1)
        assert f">{name}<" in table
        assert value.strip() in table


@pytest.mark.parametrize(
    ("route", "advice"),
    [("svd", "float64 cannot decide it"), ("gram", "try the route svd"), ("kernel", "Jacobian")],
)
def test_an_undecided_rank_is_not_sent_where_it_was(route, advice):
    undecided = Spectrum.from_values(
        torch.tensor([1.0, 1e-7, 9e-9]),
        size=3,
        rank_tolerance=1e-8,
        tolerance_on="sigma",
        route=route,
    )
    assert not undecided.rank_decided
    assert advice in repr(undecided)
    assert route != "svd" or "route svd:" not in repr(undecided).split("undecided")[1]


@pytest.fixture
def trajectory():
    K = torch.diag(torch.tensor([2.0, 1.0, 0.0]))
    return SquaredDynamics.of(K, torch.ones(3)).descent(range(30), lr=0.5)


def test_a_trajectory_as_text_frame_and_axes(trajectory):
    assert repr(trajectory).startswith("Trajectory of 30 times: t = 0 to 14.5, loss 1.5 to 0.5")
    frame = trajectory.to_frame()
    assert list(frame.columns) == ["time", "loss", "displacement"]
    assert frame["loss"].tolist() == trajectory.loss.tolist()
    assert trajectory.plot().lines[0].get_ydata().tolist() == trajectory.loss.tolist()
    assert trajectory._repr_html_().count("<tr>") == 13  # a head, eleven times and the last


def test_a_run_as_text_frame_and_axes():
    x, y = torch.randn(6, 3), torch.tensor([0, 1, 0, 1, 0, 1])
    data = ntklab.Data(x, y, {"test": (x + 0.1, y)})
    run = ntklab.train(nn.Linear(3, 2), data, ntklab.TrainConfig(steps=5, lr=0.1))
    assert repr(run).startswith("Run of 5 steps by adam at η = 0.1, cross-entropy loss: train_loss")
    frame = run.to_frame()
    assert frame["train_loss"].tolist() == run.column("train_loss")
    assert list(frame["seconds"]) == list(run.seconds)
    assert [line.get_label() for line in run.plot().lines] == ["train loss", "test loss"]
    assert "test_accuracy" in run._repr_html_()


def test_bounds_as_text_table_frame_and_axes():
    bounds = ntklab.side_by_side(torch.eye(6), torch.ones(6))
    trace = bounds.named("rademacher-trace")
    assert f"≤ {trace.value:.4g}" in repr(trace)
    assert f"measured {trace.measured:.4g}" in repr(trace)
    assert len(bounds.to_frame()) == len(bounds)
    assert repr(bounds).count("\n") == len(bounds) - 1
    axes = bounds.plot()
    names = [label.get_text() for label in axes.get_yticklabels()]
    ratios = [line.get_xdata()[0] for line in axes.lines[: len(names)]]
    shown = [b for b in bounds if b.value is not None and b.measured]
    assert names == [b.name for b in shown]
    assert ratios == [b.value / b.measured for b in shown]
    assert bounds._repr_html_().count("<tr>") == len(bounds) + 1
    with pytest.raises(ntklab.InputError, match="no bound is named 'nothing': rademacher"):
        bounds.named("nothing")


def test_a_jacobian_says_its_size_without_computing():
    J = ntklab.jacobian(nn.Linear(3, 2), torch.ones(4, 3))
    assert repr(J) == "Jacobian of 4 samples × 2 outputs by 8 parameters, float32, engine jacrev"
    assert J._repr_html_() == f"<samp>{J!r}</samp>"


def test_what_is_shown_in_html_is_escaped():
    from ntklab.display import html_rows, html_table

    assert "<b>" not in html_table("<b>", {"<b>": "<b>"})
    assert "<b>" not in html_rows("<b>", ["<b>"], [["<b>"]])


def test_brief_shows_no_entries():
    assert brief(torch.zeros(3, 2)) == "float32 (3, 2)"
    assert brief(np.zeros(3)) == "float64 (3)"
    assert brief(torch.nn.Linear(2, 1)) == "Linear(in_features=2, out_features=1, bias=True)"
    assert len(brief("x" * 1000)) <= 60
    assert brief({"a": torch.zeros(2)}) == "{'a': float32 (2)}"
    assert brief([1.0, 2.0]) == "[1, 2]"
    assert brief(range(100)) == "range of 100"


def test_axes_of_the_caller_are_drawn_on():
    axes = axes_or_new(None)
    assert axes_or_new(axes) is axes


def test_gaps_of_rows_are_gaps_of_the_frame():
    frame = frame_of([{"a": 1}, {"b": 2.0}])
    assert frame.isna().to_numpy().tolist() == [[False, True], [True, False]]


def test_short_reprs_are_of_the_mixin():
    assert ShortRepr.__repr__ is ntklab.Data.__repr__
    data = ntklab.Data(torch.zeros(4, 3), torch.zeros(4).long())
    assert repr(data) == "Data(inputs=float32 (4, 3), targets=int64 (4), tests={})"
