"""Which cells the commands that train ask for, counted by hand."""

import pytest

from ntklab.errors import InputError
from ntklab.experiments.grid import Grid
from ntklab.experiments.training.cells import (
    QUICK,
    dynamics_cells,
    language_cells,
    pair_cells,
    train_cells,
)
from ntklab.experiments.training.heads.config import PairConfig


@pytest.mark.parametrize(("table", "variants"), [(1, 7), (2, 3), (5, 6)])
def test_a_table_has_its_variants_in_both_settings_at_every_seed(table, variants):
    cells = pair_cells({}, seeds=(0, 4), table=table)
    assert len(cells) == len(set(cells)) == 2 * variants * 2
    assert [cell.settings for cell in cells[:: 2 * variants]] == ["matched", "released"]
    assert [cell.compute.seed for cell in cells[:2]] == [0, 4]


def test_quick_is_a_default_and_seeds_are_few():
    cells = pair_cells({"watched": 3, "settings": "matched"}, ["lora"], quick=True)
    assert len(cells) == 3
    assert {cell.rates for cell in cells} == {QUICK["rates"]}
    assert {cell.watched for cell in cells} == {3}


@pytest.mark.parametrize(
    ("given", "table", "words"),
    [
        ({"settings": "own"}, 1, "unknown settings"),
        ({"width": 4}, 2, "decided by table 2"),
        ({"budget": 9}, 1, "has no meaning"),
        ({}, 3, "choose 1, 2 or 5"),
    ],
)
def test_what_a_table_cannot_be_is_one_sentence(given, table, words):
    with pytest.raises(InputError, match=words):
        pair_cells(given, ["linear-probe"], table=table)


def test_a_prediction_watches_and_steps_over_all_its_samples():
    [cell] = dynamics_cells(Grid(PairConfig, {"method": "lora", "samples": 12}))
    assert (cell.watched, cell.optimizer, cell.batch) == (12, "gd", None)  # None: all of them
    assert cell.settings == "own"
    [cell] = dynamics_cells(Grid(PairConfig, {"method": "lora", "samples": 12, "watched": 0}))
    assert cell.watched == 0
    with pytest.raises(InputError, match="of one method"):
        dynamics_cells(Grid(PairConfig, {"method": "all", "samples": 12}))


def test_a_released_network_has_no_prediction():
    grid = Grid(PairConfig, {}, {"method": ("lora", "tt-lora"), "seed": (0, 1)})
    cells = train_cells(grid, end_to_end=True)
    assert [(cell.settings, cell.predict, cell.watched) for cell in cells] == [
        ("released", False, 0)
    ] * 4
    assert {cell.compute.dtype for cell in cells} == {"float32"}


def test_table_3_decides_the_methods():
    cells = language_cells({"model": "gpt2"}, table=3)
    assert {cell.compute.seed for cell in cells if cell.trained} == {0, 1, 2}
    with pytest.raises(InputError, match="--method is decided by --table 3"):
        language_cells({"model": "gpt2"}, ["lora"], table=3)
    with pytest.raises(InputError, match="has table 3"):
        language_cells({"model": "gpt2"}, table=2)
