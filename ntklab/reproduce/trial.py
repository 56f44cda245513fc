"""Inputs of a trial of the prompt panel: made-up sentences, and a tiny random language model.

Nothing is fetched, so that the way can be tried where there is neither data nor network.
"""

from itertools import product
from pathlib import Path

from ntklab.files import make_folder, write_text
from ntklab.tasks import write_random_model

TABLE, MODEL = "films.tsv", "random-llama"

_ADJECTIVES = ("dull", "slow", "odd", "cold", "fine", "warm", "quick", "long", "short", "loud")
_NOUNS = ("film", "plot", "cast", "score", "end", "scene")
_PROMPT = "It was terrible great"


def write_trial(folder: Path) -> None:
    """A table of 60 rated sentences and a model of two blocks; what is there already is kept.

    Args:
        folder: gets the file `TABLE` and the folder `MODEL`.

    Raises:
        MissingExtraError: without the extra `hf`.
    """
    make_folder(folder)
    sentences = [f"a {first} {noun} , {first}" for first, noun in product(_ADJECTIVES, _NOUNS)]
    if not (folder / TABLE).exists():
        rows = [f"{k % 7 - 3}\t{text}" for k, text in enumerate(sentences)]
        write_text(folder / TABLE, "\n".join(["rating\ttext", *rows]) + "\n")
    if not (folder / MODEL / "config.json").exists():
        texts = [*sentences, _PROMPT]
        write_random_model(folder / MODEL, texts, width=8, context=24, spread=0.4)
