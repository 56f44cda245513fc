"""Prompts of causal and masked models: read where they should be, split without a difference."""

import pytest
import torch

import ntklab
from ntklab.errors import InputError
from ntklab.tasks.prompt import Template, load_prompt
from ntklab.tasks.wikitext.fetch import find_smollm2


def by_hand(task, part):
    """Logits of the label words, one prompt at a time without padding."""
    model = task.model.model
    rows = []
    for n in range(len(part)):
        place = int(part.inputs["places"][n])
        length = place + 1
        if "lengths" in part.inputs:
            length = int(part.inputs["lengths"][n])
        ids = part.inputs["input_ids"][n : n + 1, :length]
        with torch.no_grad():
            rows.append(model(input_ids=ids).logits[0, place, task.model.words])
    return torch.stack(rows)


@pytest.mark.parametrize("first", [0, 2, -1])
def test_outputs_are_those_of_single_prompts(load, architecture, first):
    task = load(architecture, first=first, dtype=torch.float64)
    for part in (task.train, task.test):
        wanted = by_hand(task, part)
        torch.testing.assert_close(task.outputs(part), wanted, rtol=1e-10, atol=1e-10)


def test_split_states_in_single_precision(load, architecture):
    split, whole = load(architecture, first=-2), load(architecture)
    assert split.test.inputs["states"].dtype == torch.float32
    torch.testing.assert_close(
        split.outputs(split.test), whole.outputs(whole.test), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("engine", ["auto", "jacrev", "loop"])
def test_rows_from_states_are_rows_of_the_whole_model(load, architecture, engine):
    targets = {"gpt2": ["c_attn"], "llama": ["q_proj", "v_proj"], "bert": ["query", "value"]}
    rows = {}
    for first in (-2, 0):
        task = load(architecture, first=first, dtype=torch.float64)
        ntklab.inject(
            task.model.model, "lora", target_modules=targets[architecture], layers="-2:", rank=2
        )
        J = ntklab.jacobian(task.model, task.train.inputs, engine=engine if first else "loop")
        rows[first] = J.dense()
    torch.testing.assert_close(rows[-2], rows[0], rtol=1e-10, atol=1e-10)
    assert rows[0].abs().max() > 0


def test_the_model_is_whole_again_after_a_call(load):
    task = load("llama", first=-1)
    names = list(task.model.model.state_dict())
    with pytest.raises(RuntimeError):
        task.model(input_ids=torch.zeros(1, 3), places=torch.zeros(1), states=torch.zeros(1, 3, 8))
    assert list(task.model.model.state_dict()) == names
    assert task.model.block_count == 4


def test_states_are_kept_by_what_decides_them(load, tmp_path, monkeypatch):
    first = load("llama", first=-1, cache=tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(files) == 2
    calls = []
    monkeypatch.setattr(
        "ntklab.tasks.prompt.model.WordLogits.states",
        lambda *args: calls.append(1) or (_ for _ in ()).throw(AssertionError("computed again")),
    )
    again = load("llama", first=-1, cache=tmp_path)
    assert not calls
    for part in ("train", "test"):
        found = getattr(again, part).inputs["states"]
        assert torch.equal(found, getattr(first, part).inputs["states"])
    with pytest.raises(AssertionError, match="computed again"):
        load("llama", first=-2, cache=tmp_path)
    with pytest.raises(AssertionError, match="computed again"):
        load("llama", first=-1, cache=tmp_path, template="{text} :")


def test_a_damaged_file_is_computed_again(load, tmp_path):
    first = load("llama", first=-1, cache=tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    again = load("llama", first=-1, cache=tmp_path)
    assert torch.equal(again.test.inputs["states"], first.test.inputs["states"])


def test_long_sentences_lose_words_and_are_counted(load, architecture):
    task = load(architecture, context=8 if architecture == "bert" else 6)
    assert task.notes["cut"] == len(task.train) + len(task.test)
    assert task.train.inputs["input_ids"].shape[1] <= 8
    places = task.train.inputs["places"]
    last = task.train.inputs["input_ids"].gather(1, places[:, None])
    assert len(set(last.flatten().tolist())) == 1  # the template's end, or the mask


def test_the_mask_may_stand_before_the_sentence(load):
    task = load("bert", template="It was {mask} : {text}", dtype=torch.float64)
    assert task.train.inputs["places"].tolist() == [3] * 6
    torch.testing.assert_close(task.outputs(task.test), by_hand(task, task.test))


class TestSentences:
    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"template": "It was"}, r"has no {text}"),
            ({"template": "{text} {text}"}, "has a place twice"),
            ({"template": "{text} {mask}"}, "a causal language model reads the class behind"),
            ({"words": ("bad", "good", "odd")}, r"are 3, but the data has 2 classes"),
            ({"words": ("bad", "bad")}, "two classes have the same token"),
            ({"words": ("bad", "very good")}, r"'very good' is 2 tokens"),
            ({"words": ("bad", "superb")}, "is unknown to the tokenizer"),
            ({"label_column": "rating"}, "give one of label_column and rating_column"),
            ({"first": 4}, "the model has 4 blocks, 0 to 3"),
            ({"shots": 300}, "but 300 shots"),
            ({"context": 1}, "alone takes 2 tokens of 1"),
            ({"model": "/nowhere/model"}, "cannot be loaded"),
        ],
    )
    def test_bad_options(self, load, options, sentence):
        with pytest.raises(InputError, match=sentence):
            load("gpt2", **options)

    def test_encoder_decoder(self, load, tmp_path):
        import transformers

        transformers.T5Config(vocab_size=20, d_model=8).save_pretrained(tmp_path)
        with pytest.raises(InputError, match="is an encoder-decoder, which needs decoder inputs"):
            load(model=tmp_path)

    def test_no_head_for_words(self, load, tmp_path):
        import transformers

        config = transformers.BertConfig(hidden_size=8, architectures=["BertModel"])
        config.save_pretrained(tmp_path)
        with pytest.raises(InputError, match="BertModel, which has no head for words"):
            load(model=tmp_path)


def test_a_sentence_with_the_words_of_the_template():
    assert Template("{text} It was {mask} .").fill("{mask} [M]", "[M]") == "{mask}  It was [M] ."


@pytest.fixture
def smollm2(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    path = find_smollm2()
    if path is None:
        pytest.skip("SmolLM2-135M is not in the cache: python -m ntklab.tasks.wikitext fetches it")
    return path


def test_a_real_model_reads_real_films(smollm2, shared_data, tmp_path):
    pytest.importorskip("gguf")
    data = shared_data("sentiment/movies.tsv.xz")
    task = load_prompt(
        data,
        rating_column="rating",
        model=smollm2,
        template="Review: {text}\nSentiment:",
        words=("negative", "positive"),
        shots=1,
        test=12,
        first=-6,
        cache=tmp_path,
    )
    outputs = task.outputs(task.test)
    assert float((outputs.argmax(1) == task.test.labels).double().mean()) > 0.5
    whole = {name: value[:2] for name, value in task.test.inputs.items() if name != "states"}
    with torch.no_grad():
        torch.testing.assert_close(task.model(**whole), outputs[:2], rtol=1e-5, atol=1e-5)
