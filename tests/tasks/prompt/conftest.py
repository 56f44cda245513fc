"""Tiny random language models with a tokenizer of words, in folders, and a table to read."""

import pytest
import torch

ADJECTIVES = ("fine", "dull", "long", "short", "odd", "warm", "cold", "loud", "slow", "quick")
NOUNS = ("film", "plot", "cast", "score", "end", "scene")
SENTENCES = [f"a {first} {noun} , {first}" for first in ADJECTIVES for noun in NOUNS]
SPECIAL = ("<unk>", "[PAD]", "[MASK]", "[CLS]", "[SEP]")


def save_tokenizer(folder, masked):
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = sorted({w for s in SENTENCES for w in s.split()} | {"It", "was", "good", "bad", ":"})
    table = {word: place for place, word in enumerate([*SPECIAL, *words])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(table, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    if masked:
        tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 3), ("[SEP]", 4)]
        )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="[PAD]", mask_token="[MASK]"
    ).save_pretrained(folder)
    return len(table)


def made(architecture, count):
    import transformers

    wide = {"vocab_size": count, "initializer_range": 0.4}
    if architecture == "gpt2":
        config = transformers.GPT2Config(
            n_embd=8, n_layer=4, n_head=2, n_positions=24, eos_token_id=0, bos_token_id=0, **wide
        )
        return transformers.GPT2LMHeadModel(config)
    sizes = {
        "hidden_size": 8,
        "intermediate_size": 12,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "max_position_embeddings": 24,
    }
    if architecture == "llama":
        config = transformers.LlamaConfig(num_key_value_heads=1, **sizes, **wide)
        return transformers.LlamaForCausalLM(config)
    return transformers.BertForMaskedLM(transformers.BertConfig(**sizes, **wide))


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """The folder of every architecture."""
    pytest.importorskip("transformers")
    found = {}
    for architecture in ("gpt2", "llama", "bert"):
        folder = tmp_path_factory.mktemp(architecture)
        torch.manual_seed(0)
        count = save_tokenizer(folder, architecture == "bert")
        made(architecture, count).save_pretrained(folder)
        found[architecture] = folder
    return found


@pytest.fixture(params=["gpt2", "llama", "bert"])
def architecture(request):
    return request.param


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """60 sentences with ratings from -3 to 3."""
    path = tmp_path_factory.mktemp("data") / "films.tsv"
    rows = [f"{(k % 7) - 3}\t{text}" for k, text in enumerate(SENTENCES)]
    path.write_text("\n".join(["rating\ttext", *rows]) + "\n")
    return path


@pytest.fixture
def load(folders, table):
    """A prompt task of a tiny model, a few shots and test sentences."""
    from ntklab.tasks.prompt import load_prompt

    def loaded(architecture="gpt2", **options):
        defaults = {
            "rating_column": "rating",
            "model": folders[architecture],
            "words": ("bad", "good"),
            "shots": 3,
            "test": 8,
            "cache": None,
        }
        return load_prompt(table, **{**defaults, **options})

    return loaded
