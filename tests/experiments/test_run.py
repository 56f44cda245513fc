import json

import pytest
import torch

from ntklab.experiments.executors import compute, torch_threads
from ntklab.experiments.spectrum import SpectrumConfig, run_cell
from ntklab.experiments.spectrum.planned import fitting_threads
from ntklab.records import Cell, RunFolder


def configs(count):
    return [
        SpectrumConfig.of(method="lora", task="synthetic", samples=4, seed=s) for s in range(count)
    ]


class Counted:
    """Stands in for `run_cell`: cheap, and says what it was asked for."""

    def __init__(self, stop_at=None):
        self.seeds, self.stop_at = [], stop_at

    def __call__(self, config):
        if config.compute.seed == self.stop_at:
            raise KeyboardInterrupt
        self.seeds.append(config.compute.seed)
        return Cell({"seed": config.compute.seed}, {"seconds": 0.5}, {})


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    folder = RunFolder(tmp_path, {})
    with pytest.raises(KeyboardInterrupt):
        compute(configs(4), Counted(stop_at=2), folder=folder)
    again = Counted()
    cells = compute(configs(4), again, folder=RunFolder(tmp_path, {}))
    assert again.seeds == [2, 3]
    assert [cell.row["seed"] for cell in cells] == [0, 1, 2, 3]


def test_without_a_folder_everything_is_computed():
    run = Counted()
    compute(configs(3), run)
    assert run.seeds == [0, 1, 2]


def test_progress_hears_of_every_cell_and_of_the_end():
    heard = []
    compute(configs(2), Counted(), progress=lambda *news: heard.append(news))
    first, second = configs(2)
    assert heard == [(0, 2, first), (1, 2, second), (2, 2, None)]


def test_equal_seeds_give_equal_bytes_but_for_what_was_measured(tmp_path):
    for name in ("one", "two"):
        compute(configs(2), run_cell, folder=RunFolder(tmp_path / name, {}))
    for path in sorted((tmp_path / "one" / "cells").iterdir()):
        other = tmp_path / "two" / "cells" / path.name
        if path.suffix == ".json":
            cells = [json.loads(p.read_text()) for p in (path, other)]
            assert all(set(cell.pop("measured")) >= {"seconds"} for cell in cells)
            assert json.dumps(cells[0]) == json.dumps(cells[1])
        else:
            assert path.read_bytes() == other.read_bytes()


def test_threads_are_given_back_also_after_an_error():
    before = torch.get_num_threads()

    def fail():
        with torch_threads(before + 1):
            assert torch.get_num_threads() == before + 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert torch.get_num_threads() == before


def test_small_spectra_take_one_thread():
    with torch_threads(2):
        assert fitting_threads(512, 1000) == 1
        assert fitting_threads(100_000, 259) == 1
        assert fitting_threads(4096, 4096) == 2
