import pytest

from ntklab.errors import InputError
from ntklab.sweeps import SpectrumConfig
from ntklab.sweeps.grid import first_seeds, grid, shared_config, sweep_config


def starts(*methods, seeds=2):
    return [
        SpectrumConfig.of(method=method, task="synthetic", samples=4, seed=seed)
        for method in methods
        for seed in range(seeds)
    ]


def test_every_combination_that_a_method_has_a_use_for_occurs_once():
    points = grid(
        starts("lora", "tensorguide", "linear-probe"),
        {"width": (16, 64), "rank": (1, 2), "tt_ranks": [(1, 2, 2, 1, 1), (1, 2, 2, 2, 1)]},
    )
    assert len(points) == len(set(points)) == 2 * (2 + 2 * 2 + 1)
    lora = [point.adapter for point in points if point.adapter.method == "lora"]
    assert {(one.rank, one.width, one.tt_ranks) for one in lora} == {
        *((1, None, None), (2, None, None))
    }
    guide = {
        (p.adapter.width, p.adapter.tt_ranks) for p in points if p.adapter.method == "tensorguide"
    }
    assert len(guide) == 4


def test_an_axis_that_nobody_uses_is_refused():
    with pytest.raises(InputError, match=r"--width has no meaning for linear-probe"):
        grid(starts("linear-probe"), {"width": (16,)})


def test_no_axes_leave_the_configurations_as_they_are():
    assert grid(starts("lora"), {"width": (), "rank": ()}) == starts("lora")


def test_points_are_planned_once_a_seed():
    points = grid(starts("lora", seeds=5), {"rank": (1, 2)})
    assert [(p.adapter.rank, p.compute.seed) for p in first_seeds(points)] == [
        (1, 0),
        (2, 0),
    ]


def test_a_sweep_may_grow_along_its_axes_alone():
    small, large = starts("lora"), grid(starts("lora", "tera", seeds=4), {"rank": (1, 2)})
    assert shared_config(small) == shared_config(large)
    assert sweep_config(large)["axes"]["rank"] == [1, 2]
    other = [SpectrumConfig.of(method="lora", task="synthetic", samples=5)]
    assert shared_config(other) != shared_config(small)
