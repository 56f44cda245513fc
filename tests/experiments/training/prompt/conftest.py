"""Tiny language models and a table of films, as the tests of the task have them."""

import pytest

from ntklab.experiments.training.prompt.config import PromptConfig
from tests.tasks.prompt.conftest import folders, table  # noqa: F401 - fixtures


@pytest.fixture
def config(folders, table):  # noqa: F811
    """A configuration on a tiny model: 4 shots a class, 10 test sentences, the last two blocks."""

    def made(architecture="llama", **settings):
        few = {
            **{"method": "lora", "data": str(table), "rating_column": "rating"},
            **{"model": str(folders[architecture]), "words": "bad,good", "layers": "-2:"},
            **{"shots": 4, "test": 10, "epochs": 3, "batch": 4, "watched": 2},
        }
        return PromptConfig.of(**{**few, **settings})

    return made
