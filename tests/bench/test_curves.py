import numpy as np
import pytest

from ntklab.bench import CASES, Curve, Problem
from ntklab.bench.curves import axis_value, fit_power, measure_curve
from ntklab.errors import InputError


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_synthetic_times(exponent):
    values = np.array([100, 200, 400, 1000, 10_000])
    law = fit_power(values, 3e-4 * values**exponent)
    assert law.exponent == pytest.approx(exponent, abs=1e-9)
    assert law.error < 1e-6


def test_the_error_covers_the_noise_it_is_given():
    rng = np.random.default_rng(0)
    values = np.geomspace(100, 10_000, 8)
    inside = 0
    for _ in range(200):
        law = fit_power(values, values**1.1 * np.exp(0.1 * rng.standard_normal(8)))
        inside += abs(law.exponent - 1.1) < 2 * law.error
    assert 0.85 < inside / 200 < 0.99  # Student's t with 6 degrees of freedom: 0.91


def test_one_value_is_no_curve():
    with pytest.raises(InputError, match="two different values"):
        fit_power([10, 10], [1.0, 2.0])


def test_points_are_placed_on_their_axis():
    head = Problem("tensorguide", 20, 8, 3, {"width": 4})
    places = {a: axis_value(Curve("any", a, (head,)), head) for a in "NMCP"}
    assert places == {"N": 20, "M": 4, "C": 3, "P": head.model().parameter_count}


def test_a_curve_of_a_tiny_head_has_a_time_a_point():
    points = [Problem("tensorguide", n, 8, 2, {"width": 4}) for n in (4, 8)]
    times = measure_curve(points, repeats=2)
    assert [len(timing.seconds) for timing in times] == [2, 2]
    assert all(timing.minimum > 0 for timing in times)


def test_the_curves_reach_what_was_asked():
    by_name = {name: case for name, case in CASES.items() if isinstance(case, Curve)}
    assert axis_value(by_name["samples-relu"], by_name["samples-relu"].points[-1]) == 10_000
    widths = [axis_value(by_name["width-relu"], p) for p in by_name["width-relu"].points]
    assert (widths[0], widths[-1]) == (256, 4096)
