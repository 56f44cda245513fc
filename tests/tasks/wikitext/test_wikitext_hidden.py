import json

import numpy as np
import pytest
import torch

from ntklab.errors import InputError
from ntklab.tasks.wikitext import LanguageModel, cut_windows, hidden_states, load_language_model

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def loaded(tiny_model) -> LanguageModel:
    return load_language_model(tiny_model)


@pytest.fixture
def windows(loaded):
    ids = torch.randint(loaded.vocabulary, (6 * 8,), generator=torch.Generator().manual_seed(1))
    return cut_windows(ids, 8)


def test_states_are_what_the_last_projection_sees(loaded, windows):
    states = hidden_states(loaded, windows)
    seen = []
    hook = loaded.model.lm_head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        loaded.model(windows.ids)
    hook.remove()
    torch.testing.assert_close(states.features, seen[0][:, :-1].reshape(-1, 16))
    assert states.labels.equal(windows.ids[:, 1:].reshape(-1))


@pytest.mark.parametrize("batch", [2, 4, 100])
def test_states_do_not_depend_on_the_batch(loaded, windows, batch):
    one = hidden_states(loaded, windows)
    many = hidden_states(loaded, windows, batch=batch)
    torch.testing.assert_close(one.features, many.features, rtol=1e-5, atol=1e-5)


def test_cached_states_are_read_and_not_computed(loaded, windows, tmp_path, monkeypatch):
    first, seen = hidden_states(loaded, windows, cache=tmp_path), []
    monkeypatch.setattr(LanguageModel, "hidden", lambda *_: pytest.fail("computed again"))
    again = hidden_states(
        loaded, windows, cache=tmp_path, progress=lambda done, total: seen.append((done, total))
    )
    assert again.features.equal(first.features)
    assert seen == [(48, 48)]
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".npy"]


def test_another_stride_or_text_or_model_is_another_file(loaded, windows, tmp_path, tiny_model):
    other = load_language_model(tiny_model)
    with torch.no_grad():
        other.weight[0, 0] += 1
    ids = windows.ids.flatten()
    digests = {
        hidden_states(loaded, windows, cache=tmp_path).digest,
        hidden_states(loaded, windows, cache=tmp_path, storage="float16").digest,
        hidden_states(loaded, cut_windows(ids, 8, stride=4), cache=tmp_path).digest,
        hidden_states(loaded, cut_windows(ids.flip(0), 8), cache=tmp_path).digest,
        hidden_states(other, windows, cache=tmp_path).digest,
    }
    assert len(digests) == 5


@pytest.mark.parametrize("damage", ["flip", "cut", "no note", "pickle"])
def test_damaged_states_are_computed_anew(loaded, windows, tmp_path, damage):
    whole = hidden_states(loaded, windows, cache=tmp_path).features.clone()
    (path,) = tmp_path.glob("*.npy")
    data = path.read_bytes()
    if damage == "flip":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "cut":
        path.write_bytes(data[:-8])
    elif damage == "no note":
        path.with_suffix(".json").unlink()
    else:
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    assert hidden_states(loaded, windows, cache=tmp_path).features.equal(whole)
    note = json.loads(path.with_suffix(".json").read_text())
    assert path.read_bytes() == data
    assert len(note["sha256"]) == 64


def test_an_interrupted_run_leaves_no_file(loaded, windows, tmp_path, monkeypatch):
    real, calls = LanguageModel.hidden, []

    def breaking(self, ids):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, ids)

    monkeypatch.setattr(LanguageModel, "hidden", breaking)
    with pytest.raises(KeyboardInterrupt):
        hidden_states(loaded, windows, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_half_precision_is_close_and_half_as_large(loaded, windows, tmp_path):
    full = hidden_states(loaded, windows, cache=tmp_path / "full").features
    half = hidden_states(loaded, windows, cache=tmp_path / "half", storage="float16").features
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), full, rtol=1e-3, atol=1e-5)


def test_tokens_of_another_model_are_refused(loaded):
    windows = cut_windows(torch.arange(640), 8)
    with pytest.raises(InputError, match="belongs to another model"):
        hidden_states(loaded, windows)
    with pytest.raises(InputError, match="float32 or float16"):
        hidden_states(loaded, cut_windows(torch.zeros(8, dtype=torch.int64), 8), storage="int8")


def test_an_unusable_cache_is_named(loaded, windows, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        hidden_states(loaded, windows, cache=tmp_path / "file")
