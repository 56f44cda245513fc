import pytest

from ntklab.errors import InputError
from ntklab.experiments.grid import Grid
from ntklab.experiments.spectrum import SWEEP, SpectrumConfig, previews

SMALL = {"task": "synthetic", "samples": 4}


def grid(*methods, seeds=2, given=SMALL, **axes):
    return Grid(SpectrumConfig, given, {"method": methods, "seed": range(seeds), **axes})


def test_every_combination_that_a_method_has_a_use_for_occurs_once():
    points = grid(
        *("lora", "tensorguide", "linear-probe"),
        **{"width": (16, 64), "rank": (1, 2), "tt_ranks": [(1, 2, 2, 1, 1), (1, 2, 2, 2, 1)]},
    ).cells()
    assert len(points) == len(set(points)) == 2 * (2 + 2 * 2 + 1)
    lora = [point.adapter for point in points if point.adapter.method == "lora"]
    assert {(one.rank, one.width, one.tt_ranks) for one in lora} == {
        *((1, None, None), (2, None, None))
    }
    guide = [point.adapter for point in points if point.adapter.method == "tensorguide"]
    assert len({(one.width, one.tt_ranks) for one in guide}) == 4


def test_a_size_that_nobody_uses_is_refused():
    for asked in (
        grid("linear-probe", width=(16,)),
        grid("linear-probe", given={**SMALL, "width": 16}),
    ):
        with pytest.raises(InputError, match=r"--width has no meaning for linear-probe"):
            asked.cells()
    with pytest.raises(InputError, match="did you mean 'lora'"):
        grid("lorra").cells()


def test_a_given_size_goes_to_those_that_use_it():
    one, two = grid("lora", "tensorguide", seeds=1, given={**SMALL, "rank": 2}).cells()
    assert (one.adapter.rank, two.adapter.rank) == (2, None)


def test_the_first_axis_varies_slowest_and_equal_cells_are_one():
    cells = Grid(
        SpectrumConfig,
        {"task": "synthetic"},
        {"data_condition": ("clean", "noisy"), "method": ("tera", "lora"), "seed": (1, 0)},
    ).cells()
    assert [(one.adapter.method, one.compute.seed) for one in cells] == [
        *(("tera", 1), ("tera", 0), ("lora", 1), ("lora", 0))
    ]


def test_points_are_planned_once_a_seed():
    planned = previews(grid("lora", seeds=5, rank=(1, 2)).cells())
    assert [one.adapter.rank for one in planned] == [1, 2]


def test_a_sweep_may_grow_along_its_axes_alone():
    small, large = grid("lora").cells(), grid("lora", "tera", seeds=4, rank=(1, 2)).cells()
    assert SWEEP.shared(small) == SWEEP.shared(large)
    assert SWEEP.described(large)["axes"]["rank"] == [1, 2]
    other = [SpectrumConfig.of(method="lora", task="synthetic", samples=5)]
    assert SWEEP.shared(other) != SWEEP.shared(small)
