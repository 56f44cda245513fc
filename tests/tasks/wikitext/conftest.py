"""A language model of two layers with a tokenizer of its own, in a folder, and a text to read."""

from pathlib import Path

import pytest

TEXT = "".join(
    f" = A dot = \n dot {k} holds {k * k % 7} electrons , and the wire holds {k % 5} . \n"
    for k in range(40)
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A folder with the model of `make_model`."""
    pytest.importorskip("transformers")
    pytest.importorskip("tokenizers")
    return make_model(tmp_path_factory.mktemp("tiny-gpt2"))


def make_model(folder: Path) -> Path:
    """GPT-2 with 2 layers of width 16, a word for each of the text, 32 positions; random, fixed."""
    import tokenizers
    import torch
    import transformers

    words = ["<unk>", *sorted(set(TEXT.split()))]
    table = tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(table)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(words), n_embd=16, n_layer=2, n_head=2, n_positions=32, initializer_range=0.5
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_text(tmp_path_factory) -> Path:
    """A folder with the text."""
    return make_text(tmp_path_factory.mktemp("text"))


def make_text(folder: Path) -> Path:
    """The three splits."""
    folder.mkdir(exist_ok=True)
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text(TEXT)
    return folder
