"""The rate of every method: where a search goes on beyond its grid, and which rate it gives."""

import numpy as np
import pytest

from ntklab.experiments.training.prompt.config import BEYOND, MULTIPLES, RATES, PromptConfig
from ntklab.experiments.training.prompt.experiment import merge_optimizers, rows_of
from ntklab.experiments.training.prompt.search import beyond, search_of, with_rates
from ntklab.records import Cell

TERA = PromptConfig.of(method="tera", data="films.tsv")


def searching(loss):
    """A `finish` whose searches have this loss at a rate, and all configurations that it made."""
    made = []

    def finish(*wanted):
        made.extend(config for config in wanted if config not in made)
        best = min(wanted[0].rates or (0.0,), key=loss)
        return Cell({"lr": best, "valid_loss": loss(best)}, {}, {})

    return finish, made


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("side", [0, -1])
def test_a_search_whose_end_is_the_best_goes_on_there(optimizer, side):
    config = TERA.with_(optimizer=optimizer)
    grid = RATES if optimizer == "adam" else MULTIPLES
    wanted = BEYOND[grid][side][1]  # the middle one of three beyond
    finish, made = searching(lambda rate: abs(np.log(rate / wanted)))
    *searches, measured = with_rates([config], finish)
    assert [one.rates[side] for one in searches] == [grid[side], BEYOND[grid][side][side]]
    assert grid[side] in searches[1].rates
    assert measured == config.with_(lr=wanted)
    assert made == searches


def test_a_search_inside_its_grid_is_one():
    finish, made = searching(lambda rate: abs(np.log(rate / 0.03)))
    searches = with_rates([TERA, TERA.with_(seed=1)], finish)[:-2]
    assert made == searches == [search_of(TERA)]


def test_beyond_the_grid_nothing_better_leaves_the_end():
    def loss(rate):
        return 1.0 if rate > 0.1 else 0.5 - rate

    finish, _ = searching(loss)
    assert with_rates([TERA], finish)[-1].lr == 0.1


def test_a_search_that_diverged_beyond_loses():
    def finish(*wanted):
        further = 3.0 in wanted[0].rates
        return Cell({"lr": 3.0 if further else 0.1, "valid_loss": None if further else 0.7}, {}, {})

    assert with_rates([TERA], finish)[-1].lr == 0.1


def test_rates_that_were_asked_for_are_all_that_is_tried():
    asked = search_of(TERA.with_(rates=(1e-3, 1e-2)))
    assert beyond(asked, 1e-2) is None


def test_a_rate_at_the_end_of_all_that_was_tried_is_marked():
    """0.1 ends the first grid and not the second; 3 ends both."""

    def row(variant, rate):
        return {"variant": variant, "seed": 0, "optimizer": "adam", "purpose": "measure"} | {
            **{"lr": rate, "cell": variant, "reason": None, "method": "tera", "params": 1}
        }

    def search(variant, rates):
        return {"variant": variant, "optimizer": "adam", "purpose": "search", "tried": rates}

    grids = [list(RATES), [0.1, 0.3, 1.0, 3.0]]
    rows = [search(name, grid) for name in ("inside", "end") for grid in grids]
    rows += [row("inside", 0.1), row("end", 3.0), row("given", 0.1)]
    merge_optimizers(rows)
    assert {one["variant"]: one["lr_at_end_adam"] for one in rows} == {
        **{"inside": False, "end": True, "given": None}
    }


def test_a_search_says_what_it_tried():
    cell = Cell(
        {"variant": "tera", "optimizer": "adam", "purpose": "search", "lr": 0.1},
        {},
        {"rates": np.array([0.1, 0.3])},
    )
    assert rows_of(cell) == [
        {"variant": "tera", "optimizer": "adam", "purpose": "search", "tried": [0.1, 0.3]}
    ]
