"""A tiny language model with random weights, in place of a real one that is not there."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ntklab.errors import MissingExtraError
from ntklab.files import make_folder
from ntklab.tasks.wikitext.language_model import quietly

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_SPECIAL = ("<unk>", "<pad>")


def write_random_model(
    folder: Path | str,
    texts: Iterable[str],
    *,
    width: int = 32,
    blocks: int = 2,
    context: int = 128,
    spread: float = 0.2,
    seed: int = 0,
) -> Path:
    """A Llama with random weights whose tokens are the words of some texts, as a folder.

    Shapes and code paths are those of a real model; what it thinks of a text is nothing.

    Args:
        folder: gets the model and its tokenizer, as `from_pretrained` of transformers reads them.
        texts: their words, between spaces, are the vocabulary; every other word is `<unk>`.
        width: of its hidden states, even.
        blocks: of attention and MLP.
        context: longest input, in tokens.
        spread: standard deviation of its weights.
        seed: draws them; the global generator is left alone.

    Returns:
        The folder.

    Raises:
        MissingExtraError: without the extra `hf`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_random_model(folder, ["a fine film", "a dull film"], width=8)
        ...     (path / "config.json").is_file()
        True
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("a language model with random weights", "hf") from error
    words = [*_SPECIAL, *sorted({word for text in texts for word in text.split()})]
    heads: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 1}
    config = transformers.LlamaConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=3 * width // 2,
        num_hidden_layers=blocks,
        max_position_embeddings=context,
        initializer_range=spread,
        **heads,
    )
    folder = Path(folder)
    make_folder(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = transformers.LlamaForCausalLM(config)
    with quietly(transformers):
        _tokenizer(words).save_pretrained(folder)
        model.save_pretrained(folder)
    return folder


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
