"""A language model with random weights: its words, its sizes, and that nothing else is drawn."""

import pytest
import torch

pytest.importorskip("transformers", reason="needs the extra hf")

from ntklab.tasks import load_next_token, write_random_model


def loaded(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def test_its_words_are_those_of_the_texts(tmp_path):
    write_random_model(tmp_path, ["b a", "c a"], width=8, blocks=3, context=16)
    model, tokenizer = loaded(tmp_path)
    assert tokenizer("c b zebra")["input_ids"] == [4, 3, tokenizer.unk_token_id]
    assert tokenizer.pad_token_id != tokenizer.unk_token_id
    config = model.config
    sizes = (config.vocab_size, config.hidden_size, config.num_hidden_layers)
    assert sizes == (5, 8, 3)


def test_a_seed_draws_it_and_the_global_generator_stays(tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for name, seed in (("a", 1), ("again", 1), ("b", 2)):
        write_random_model(tmp_path / name, ["x y"], width=8, seed=seed)
    assert torch.equal(torch.get_rng_state(), before)
    a, again, b = (loaded(tmp_path / name)[0].lm_head.weight for name in ("a", "again", "b"))
    assert torch.equal(a, again)
    assert not torch.equal(a, b)


def test_the_task_of_next_tokens_takes_it(tmp_path):
    text = " ".join(["one two three four"] * 20)
    write_random_model(tmp_path, [text], width=8, context=8)
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text(text, encoding="utf-8")
    windows = {"train_windows": 1, "valid_windows": 1, "test_windows": 1}
    data = load_next_token(model=tmp_path, data=tmp_path, context=8, cache=None, **windows)
    assert (data.width, data.vocabulary) == (8, 6)
