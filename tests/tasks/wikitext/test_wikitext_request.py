"""States in the cache serve without their model; anything that changes them does not."""

import importlib

import pytest
import torch

from ntklab.tasks.wikitext import default_model, default_text, load_next_token
from ntklab.tasks.wikitext.request import request_digest

task = importlib.import_module("ntklab.tasks.wikitext.task")

OPTIONS = {"context": 16, "train_windows": 3, "valid_windows": 2, "test_windows": 2}


@pytest.fixture
def load(tiny_model, tiny_text, tmp_path):
    def call(**given):
        options = OPTIONS | {"model": tiny_model, "data": tiny_text, "cache": tmp_path} | given
        return load_next_token(**options)

    return call


def test_the_second_time_the_model_is_not_loaded(load, monkeypatch):
    first = load()
    monkeypatch.setattr(task, "load_language_model", None)
    second = load()
    for name in ("train", "valid", "test"):
        one, two = getattr(first, name), getattr(second, name)
        assert torch.equal(one.features, two.features)
        assert torch.equal(one.labels, two.labels)
        assert one.digest == two.digest
    assert torch.equal(first.weight, second.weight)
    assert (first.bias, first.source) == (second.bias, second.source)
    assert first.baseline() == second.baseline()


@pytest.mark.parametrize("change", [{"context": 15}, {"stride": 8}, {"data_seed": 1}])
def test_another_request_loads_it(load, change, monkeypatch):
    load()
    monkeypatch.setattr(task, "load_language_model", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        load(**change)


def test_a_changed_model_file_is_another_request(tiny_model, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy)
    before = request_digest(copy, None, {"a": 1})
    assert before == request_digest(tiny_model, None, {"a": 1})
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    assert request_digest(copy, None, {"a": 1}) != before


def test_a_name_on_the_hub_is_loaded_to_be_sure():
    assert request_digest("some/model", None, {}) is None


def test_damaged_states_are_computed_anew(load, tmp_path):
    first = load()
    states = first.test.features.clone()  # they are mapped from the file
    path = tmp_path / f"hidden-{first.test.digest}.npy"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(bytes(damaged))
    assert torch.equal(load().test.features, states)


def test_a_damaged_request_is_no_request(load, tmp_path):
    first = load()
    (path,) = tmp_path.glob("next-token-*")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert torch.equal(load().weight, first.weight)


def test_defaults_are_the_fetched_model_and_the_shared_text(tmp_path, monkeypatch):
    monkeypatch.setenv("NTKLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NTKLAB_SHARED_DATA", str(tmp_path))
    assert (default_model(), default_text()) == ("gpt2", None)
    (tmp_path / "wikitext-2").mkdir()
    fetched = tmp_path / "cache" / "smollm2-135m" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(b"")
    assert (default_model(), default_text()) == (str(fetched), tmp_path / "wikitext-2")
