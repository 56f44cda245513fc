"""Which cells a panel asks for."""

import pytest

from ntklab import InputError
from ntklab.experiments.training.prompt.cell import prompt_task
from ntklab.experiments.training.prompt.cells import prompt_cells
from ntklab.experiments.training.prompt.config import (
    MULTIPLES,
    PANEL,
    PANELS,
    RATES,
    PromptConfig,
)
from ntklab.experiments.training.prompt.methods import build_model

GIVEN = {"data": "films.tsv"}


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_has_every_variant_once_a_seed(panel):
    cells = prompt_cells(GIVEN, seeds=[0, 1], panel=panel)
    names = [(cell.variant, cell.compute.seed) for cell in cells]
    assert len(set(names)) == len(names) == 2 * len(PANELS[panel])
    assert [seed for _, seed in names] == [0] * len(PANELS[panel]) + [1] * len(PANELS[panel])


def test_the_panel_of_methods_has_what_the_claims_ask_for():
    own = [method for method, _ in PANEL if not method.startswith("peft:")]
    twice = {method for method in own if own.count(method) == 2}
    assert twice == {"lora", "tt-lora", "tensorguide", "tt-delta", "tera"}
    assert {"linear-probe", "full"} <= set(own)
    assert len(PANEL) - len(own) >= 14


@pytest.mark.parametrize("optimizer", ["sgd", "both"])
def test_each_optimizer_searches_its_own_grid(optimizer):
    """Adam's rates as multiples of the stability limit would end at a tenth of it."""
    given = GIVEN | {"optimizer": optimizer}
    grids = {cell.optimizer: cell.rates for cell in prompt_cells(given, ["lora"])}
    assert grids["sgd"] == MULTIPLES
    assert grids.get("adam", RATES) == RATES
    quick = {cell.optimizer: cell.rates for cell in prompt_cells(given, ["lora"], quick=True)}
    assert set(quick["sgd"]) < set(MULTIPLES)
    assert set(quick.get("adam", RATES)) <= set(RATES)


def test_rates_and_a_rate_that_were_asked_for_hold_of_both_optimizers():
    for quick in (True, False):
        given = GIVEN | {"optimizer": "both"}
        asked = prompt_cells(given | {"rates": (0.5, 0.7)}, ["lora"], quick=quick)
        assert {cell.rates for cell in asked} == {(0.5, 0.7)}
        fixed = prompt_cells(given | {"lr": 0.5}, ["lora"], quick=quick)
        assert {(cell.lr, cell.rates) for cell in fixed} == {(0.5, ())}


def test_a_cell_is_named_as_before_there_was_sharing():
    assert "shared" not in PromptConfig.of(method="tera").to_dict()
    assert PromptConfig.of(method="tera", shared=False).to_dict()["shared"] is False


def test_sharing_is_the_only_difference(config):
    shared, own = config(method="tera"), config(method="tera", shared=False)
    assert own.variant == "tera own tensors layers=-2:"
    models = [build_model(one, prompt_task(one).model) for one in (shared, own)]
    counts = [sum(p.numel() for p in m.parameters() if p.requires_grad) for m in models]
    cores = [sum(name.endswith(".core") for name in m.state_dict()) for m in models]
    assert counts[0] == counts[1]
    assert cores[0] < cores[1]


def test_an_unknown_panel_is_a_sentence():
    with pytest.raises(InputError, match="unknown panel 'wide'"):
        prompt_cells(GIVEN, panel="wide")
