"""Inputs of a trial of the prompt panel: made-up sentences, and a tiny random language model.

Nothing is fetched, so that the way can be tried where there is neither data nor network.
"""

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ntklab.errors import MissingExtraError
from ntklab.files import make_folder, write_text
from ntklab.tasks.wikitext.language_model import quietly

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TABLE, MODEL = "films.tsv", "random-llama"

_ADJECTIVES = ("dull", "slow", "odd", "cold", "fine", "warm", "quick", "long", "short", "loud")
_NOUNS = ("film", "plot", "cast", "score", "end", "scene")
_SPECIAL = ("<unk>", "<pad>")
_PROMPT = ("It", "was", "terrible", "great")


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
        words = sorted({word for text in sentences for word in text.split()} | {*_PROMPT})
        _write_model(folder / MODEL, [*_SPECIAL, *words])


def _write_model(folder: Path, words: list[str]) -> None:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("a trial of the prompt panel", "hf") from error
    sizes: dict[str, Any] = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2}
    heads: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 1}
    config = transformers.LlamaConfig(
        vocab_size=len(words), max_position_embeddings=24, initializer_range=0.4, **sizes, **heads
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = transformers.LlamaForCausalLM(config)
    with quietly(transformers):
        _tokenizer(words).save_pretrained(folder)
        model.save_pretrained(folder)


def _tokenizer(words: list[str]) -> "PreTrainedTokenizerFast":
    """A token a word."""
    import tokenizers
    import transformers

    table = {word: place for place, word in enumerate(words)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(table, unk_token=_SPECIAL[0]))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    unknown, padding = _SPECIAL
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token=unknown, pad_token=padding
    )
