import math

import pytest
import torch

from ntklab.claims import Verdict
from paper_checks.tensorguide.eq19 import CHECK, aligned, draw, measured_of, row_of, slope, summary


def judged(*rows):
    return CHECK.judge(measured_of(rows))


@pytest.fixture(scope="module")
def planted():
    return [row_of("planted", "planted", *aligned(n)) for n in (8, 16)]


def test_reading_b_is_never_below_one_for_signs(planted):
    """P6, on the kindest kernel there is: the labels are its leading eigenvector."""
    assert min(row["by_lambda_min"] for row in planted) >= 1
    assert max(row["by_fit"] for row in planted) < 0.5
    finding = judged(*planted)
    assert finding.verdict is Verdict.VACUOUS
    assert finding.mended


def test_small_labels_make_it_say_something():
    y = aligned(8)[1]
    row = row_of("small labels", "planted", torch.eye(8, dtype=torch.float64), 0.1 * y)
    assert row["by_lambda_min"] == pytest.approx(0.1)
    assert judged(row).verdict is Verdict.OK


def test_a_complexity_above_kappa_refutes(planted):
    worse = [{**row, "complexity": 2 * row["by_kappa"]} for row in planted]
    assert judged(*worse).verdict is Verdict.FALSE


def test_only_singular_kernels_leave_reading_b_without_a_value():
    y = torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64)
    row = row_of("rank one", "planted", y[:, None], y)
    assert row["by_lambda_min"] is None
    finding = judged(row)
    assert finding.verdict is Verdict.VACUOUS
    assert "does not exist" in finding.because


def test_the_fit_never_goes_below_its_floor(planted):
    source = torch.Generator().manual_seed(0)
    J = torch.randn(8, 12, generator=source, dtype=torch.float64)
    y = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64)
    assert summary([row_of("random", "planted", J, y), *planted])["below_floor"] == 0


def test_slope_is_that_of_a_power():
    rows = [{"data": "d", "method": "m", "samples": n, "x": 3 * n**-0.5} for n in (4, 16, 64)]
    assert math.isclose(slope(rows, "x"), -0.5)
    assert slope(rows[:1], "x") is None


def test_figure_has_a_panel_a_method(planted):
    assert len(draw(measured_of(planted)).axes) == 1


def test_rows_are_medians_and_the_verdict_is_the_worst_kernel_s(planted):
    first = planted[0]
    bad = {**first, "complexity": 2 * first["by_kappa"]}
    measured = measured_of([first, first, bad])
    assert measured.seeds == 3
    assert measured.rows[0]["complexity"] == first["complexity"]
    assert CHECK.judge(measured).verdict is Verdict.FALSE


def test_singular_kernels_are_counted_beside_the_others(planted):
    first = planted[0]
    row = measured_of([first, {**first, "by_lambda_min": None}]).rows[0]
    assert (row["seeds"], row["singular"]) == (2, 1)
    assert row["by_lambda_min"] == first["by_lambda_min"]
