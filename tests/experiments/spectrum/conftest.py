"""A tiny random language model with a tokenizer, in a folder, and texts for it to read."""

import pytest
import torch

from tests.tasks.prompt.conftest import SENTENCES, made, save_tokenizer


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Folders by architecture, made when they are asked for."""
    pytest.importorskip("transformers")
    folders = {}

    def folder(architecture="llama"):
        if architecture not in folders:
            torch.manual_seed(0)
            place = tmp_path_factory.mktemp(architecture)
            count = save_tokenizer(place, architecture == "bert")
            made(architecture, count).save_pretrained(place)
            folders[architecture] = place
        return folders[architecture]

    return folder


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """A table of 60 sentences of two classes."""
    path = tmp_path_factory.mktemp("films") / "films.tsv"
    rows = [f"{'bad' if k % 2 else 'good'}\t{text}" for k, text in enumerate(SENTENCES)]
    path.write_text("\n".join(["label\ttext", *rows]) + "\n")
    return path


@pytest.fixture
def inside(tiny, films):
    """A configuration inside the tiny Llama, with some settings changed."""
    from ntklab.experiments.spectrum import SpectrumConfig

    given = {
        "method": "lora",
        "model": str(tiny()),
        "target": "q_proj,v_proj",
        "layers": "-2:",
        "text": str(films),
        "label_column": "label",
        "readout": "tokens:bad,good",
        "samples": 5,
    }
    return lambda **more: SpectrumConfig.of(**{**given, **more})
