import pytest
import torch

from ntklab.adapters import METHODS, build_adapter
from ntklab.bench import Speeds, floor, kernel_routes
from ntklab.bench.floor import GEMM, STREAM, Calibration, gram_of, gram_shape


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_floor_and_traffic_only_adds(method):
    head = build_adapter(method, 8, 2)
    found = floor(head, 20, Speeds(1e9, 1e9), itemsize=4)
    assert 0 < found.flops <= found.asked
    assert found.traffic >= found.flops
    assert found.route in kernel_routes(head, 20)


def test_the_floor_is_counts_over_speeds():
    head = build_adapter("tensorguide", 8, 2, width=4)
    slow, fast = (floor(head, 20, Speeds(rate, 1e30), itemsize=4) for rate in (1e6, 1e9))
    assert slow.flops == pytest.approx(1000 * fast.flops)
    assert slow.flops == pytest.approx(slow.multiply_adds / 1e6)
    # where moving bytes costs nothing, the roofline is the count of multiply-adds
    assert slow.traffic == pytest.approx(slow.flops)


def test_the_asked_floor_uses_the_smaller_side_in_full():
    head = build_adapter("tt-delta", 8, 2, out_dims=(8, 2), tt_ranks=(1, 2, 1))
    rows, params = 40, head.parameter_count
    assert gram_shape(head, 20) == (params, rows)
    found = floor(head, 20, Speeds(1.0, 1e30), itemsize=4)
    triangle = rows * (rows + 1) * params // 2
    full = params * params * rows
    assert found.asked - found.flops == full - min(full, triangle)


def test_calibration_measures_the_shape_that_ends_the_route():
    head = build_adapter("lora", 6, 2)
    calibration = Calibration(head, 20, torch.float32, "cpu")
    assert set(calibration.runs) == {GEMM, STREAM}
    for run in calibration.runs.values():
        run()
    assert (calibration.short, calibration.long) == (6, 20)
    speeds = calibration.speeds(2.0, 4.0)
    assert speeds.multiply_adds == 6 * 6 * 20 / 2
    assert speeds.bytes == 2 * (16 << 20) / 4


@pytest.mark.parametrize("method", METHODS)
def test_a_faster_machine_has_a_lower_floor_in_the_same_proportion(method):
    head = build_adapter(method, 8, 2)
    slow, fast = (floor(head, 20, Speeds(rate, rate), itemsize=4) for rate in (1e6, 4e6))
    for name in ("asked", "flops", "traffic"):
        assert getattr(slow, name) == pytest.approx(4 * getattr(fast, name))
    assert slow.route == fast.route
    assert slow.multiply_adds == fast.multiply_adds


def test_where_memory_is_slow_the_roofline_is_the_bytes():
    head = build_adapter("tt-lora", 8, 2)
    single, double = (floor(head, 20, Speeds(1e30, 1e6), itemsize=size) for size in (4, 8))
    assert double.traffic == pytest.approx(2 * single.traffic)
    assert single.traffic > 1e3 * single.flops


@pytest.mark.parametrize("samples", [1, 3, 40])
def test_the_gram_matrix_ends_every_route(samples):
    head = build_adapter("tensorguide", 8, 2, width=4)
    for route in kernel_routes(head, samples).values():
        assert gram_of(route) > 0
        assert route[-1].multiply_adds == gram_of(route)
