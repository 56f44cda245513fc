"""Loading models, their hidden states, and perplexity beside transformers' own."""

import importlib
import math
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from ntklab.errors import InputError
from ntklab.tasks import find_smollm2
from ntklab.tasks.wikitext import (
    LanguageModel,
    cut_windows,
    hidden_states,
    load_language_model,
    perplexity,
    read_text,
    token_losses,
)

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def loaded(tiny_model) -> LanguageModel:
    return load_language_model(tiny_model)


@torch.no_grad()
def transformers_perplexity(model: nn.Module, ids: torch.Tensor) -> float:
    losses = [float(model(window[None], labels=window[None]).loss) for window in ids]
    return math.exp(sum(losses) / len(losses))


def ours(loaded: LanguageModel, windows) -> float:
    states = hidden_states(loaded, windows)
    return perplexity(token_losses(states.features, states.labels, loaded.weight, loaded.bias))


def test_perplexity_is_transformers_own_on_the_same_windows(loaded):
    ids = torch.randint(loaded.vocabulary, (5 * 32,), generator=torch.Generator().manual_seed(1))
    windows = cut_windows(ids, 32)
    own = transformers_perplexity(loaded.model, windows.ids)
    assert own > 1.2 * loaded.vocabulary  # confidently wrong, so that the two could differ
    assert ours(loaded, windows) == pytest.approx(own, rel=1e-4)


def test_strided_perplexity_is_transformers_own_with_masked_labels(loaded):
    ids = torch.randint(loaded.vocabulary, (100,), generator=torch.Generator().manual_seed(2))
    windows = cut_windows(ids, 16, stride=5)
    total = 0.0
    for number, window in enumerate(windows.ids):
        labels = window.clone()
        if number:
            labels[:-5] = -100
        with torch.no_grad():
            loss = loaded.model(window[None], labels=labels[None]).loss
        total += float(loss) * (5 if number else 15)
    assert ours(loaded, windows) == pytest.approx(math.exp(total / windows.predictions), rel=1e-4)


def test_smollm2_has_transformers_perplexity_on_wikitext(shared_data):
    # The session's private cache would hide a model that the user has fetched.
    path = find_smollm2(os.environ.get("NTKLAB_CACHE", Path.home() / ".cache" / "ntklab"))
    if path is None:
        pytest.skip("SmolLM2 is not in the cache: python -m ntklab.tasks.wikitext fetches it")
    loaded = load_language_model(path)
    assert (loaded.width, loaded.vocabulary) == (576, 49152)
    text = read_text(shared_data("wikitext-2"), "test")
    windows = cut_windows(loaded.tokenize(text, 2048), 1024)
    own = transformers_perplexity(loaded.model, windows.ids)
    assert ours(loaded, windows) == pytest.approx(own, rel=1e-4)
    assert 15 < own < 30  # 10.96 and 28.16 by window


def test_token_losses_are_the_definition_in_blocks(monkeypatch):
    module = importlib.import_module("ntklab.tasks.wikitext.perplexity")
    monkeypatch.setattr(module, "BLOCK", 3 * 11)
    g = torch.Generator().manual_seed(0)
    phi, weight, bias = (
        torch.randn(*s, generator=g, dtype=torch.float64) for s in ((10, 4), (11, 4), (11,))
    )
    labels = torch.randint(11, (10,), generator=g)
    logits = phi @ weight.T + bias
    wanted = logits.exp().sum(1).log() - logits[torch.arange(10), labels]
    torch.testing.assert_close(module.token_losses(phi, labels, weight, bias), wanted)


def test_perplexity_of_a_hopeless_model_is_infinite():
    assert perplexity(torch.tensor([2000.0])) == math.inf


def test_a_prefix_of_a_text_has_the_first_tokens_of_the_text(loaded, shared_data):
    bpe = load_language_model("gpt2-random", tokenizer=shared_data("gpt2-bpe"))
    assert (bpe.width, bpe.vocabulary) == (768, 50257)
    assert bpe.tokenize("Hello world").tolist() == [15496, 995]
    text = read_text(shared_data("wikitext-2"), "valid")[:60000]
    whole = bpe.tokenize(text)
    for most in (1, 700, 4001):
        assert bpe.tokenize(text, most).equal(whole[:most])
    assert bpe.tokenize("one two", 50).equal(bpe.tokenize("one two"))


def test_random_weights_depend_on_the_seed_alone(monkeypatch):
    small = transformers.GPT2Config(vocab_size=50, n_embd=8, n_layer=1, n_head=1)
    monkeypatch.setattr(transformers, "GPT2Config", lambda: small)
    one, same, other = (load_language_model("gpt2-random", seed=s) for s in (0, 0, 1))
    assert one.weight.equal(same.weight)
    assert not one.weight.equal(other.weight)
    with pytest.raises(InputError, match="no tokenizer"):
        one.tokenize("words")


def test_a_model_that_scales_its_logits_is_refused(tiny_model, monkeypatch):
    forward = transformers.GPT2LMHeadModel.forward

    def scaled(self, *args, **kwargs):
        output = forward(self, *args, **kwargs)
        output.logits = 2 * output.logits
        return output

    monkeypatch.setattr(transformers.GPT2LMHeadModel, "forward", scaled)
    with pytest.raises(InputError, match="scaled or capped"):
        load_language_model(tiny_model)


@pytest.mark.parametrize("name", ["absent.gguf", "no/such/model"])
def test_models_that_cannot_be_had_are_named(name, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=name):
        load_language_model(tmp_path / name)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"0 \.gguf files"):
        load_language_model(tmp_path)
