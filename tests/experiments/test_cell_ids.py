"""Cells on disk are found again: configurations have the flat form and the ids that they had."""

import json
from pathlib import Path

import pytest

from ntklab.experiments.approximation.config import ApproximationConfig
from ntklab.experiments.bounds.cell import BoundsConfig
from ntklab.experiments.spectrum import SpectrumConfig
from ntklab.experiments.training.heads.config import PairConfig
from ntklab.experiments.training.language.config import LanguageConfig
from ntklab.records import cell_id, plain

#: Written by version 0.1.0, before configurations held specifications.
STORED = json.loads(Path(__file__).with_name("cell_ids.json").read_text(encoding="utf-8"))
KINDS = {
    "spectrum": SpectrumConfig,
    "weighted": SpectrumConfig,
    "bounds": BoundsConfig,
    "pair": PairConfig,
    "language": LanguageConfig,
    "approximation": ApproximationConfig,
}


def as_tuple(value):
    return tuple(map(as_tuple, value)) if isinstance(value, list) else value


@pytest.mark.parametrize("stored", STORED, ids=lambda one: f"{one['kind']}-{one['id']}")
def test_a_configuration_has_the_id_that_it_had(stored):
    given = {key: as_tuple(value) for key, value in stored["given"].items()}
    if stored["kind"] == "weighted":
        given["weighted"] = True
    config = KINDS[stored["kind"]].of(**given)
    assert config.to_dict() == stored["flat"]
    assert plain(config.to_dict()) == config.to_dict()
    assert cell_id(config.to_dict()) == stored["id"]


@pytest.mark.parametrize("stored", STORED, ids=lambda one: f"{one['kind']}-{one['id']}")
def test_the_flat_form_gives_the_configuration_back(stored):
    kind = KINDS[stored["kind"]]
    config = kind.of(**{key: as_tuple(value) for key, value in stored["flat"].items()})
    assert config.to_dict() == stored["flat"]
    assert config.with_(seed=5).with_(seed=config.get("seed")) == config
