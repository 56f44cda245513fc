"""Saved adapters: equal bits after loading, tensors once, damage in one sentence."""

import json
import subprocess
import sys
from copy import deepcopy

import pytest
import torch
from safetensors import safe_open

from ntklab.adapters import METHODS
from ntklab.adapters.inject import (
    adapters_in,
    inject,
    injection_of,
    load_adapter,
    merge,
    save_adapter,
)
from ntklab.errors import InputError

ALL = sorted(METHODS)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("start", ["ntk", "zero"])
def test_equal_bits(
    build, architecture, targets, ids, tmp_path, method, start, sizes, logits, scramble
):
    model, other = build(architecture), build(architecture)
    inject(model, method, target_modules=targets, layers="-2:", start=start, **sizes(method))
    scramble(model)
    configuration = save_adapter(model, tmp_path)
    assert load_adapter(other, tmp_path) is other
    assert torch.equal(logits(other, ids), logits(model, ids))
    assert injection_of(other).start == start
    told = json.loads(configuration.read_text())
    assert (told["method"], told["start"]) == (method, start)
    with safe_open(tmp_path / told["weights"], "pt") as file:
        held = set(file.keys())
    assert not {name for name in held if name.endswith(("base.weight", "base.layer.weight"))}
    shapes = {(a.in_features, a.out_features) for a in adapters_in(model).values()}
    cores = len(shapes) if method == "tera" else 0
    assert len([name for name in held if name.endswith(".core")]) == cores


def test_saving_again_replaces(build, ids, tmp_path, logits, scramble):
    model = inject(build("gpt2"), "lora", target_modules=["c_attn"])
    save_adapter(model, tmp_path)
    scramble(model)
    save_adapter(model, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert torch.equal(logits(load_adapter(build("gpt2"), tmp_path), ids), logits(model, ids))


def test_a_merged_model_saves_and_loads_without_this_library(build, ids, tmp_path, logits):
    model = inject(build("gpt2"), "tt-delta", target_modules=["c_attn"])
    merge(model).save_pretrained(tmp_path)
    torch.save(ids, tmp_path / "ids.pt")
    code = (
        "import sys, torch, transformers\n"
        f"folder = {str(tmp_path)!r}\n"
        "model = transformers.GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float64).eval()\n"
        "out = model(torch.load(folder + '/ids.pt', weights_only=True)).logits\n"
        "torch.save(out.detach(), folder + '/out.pt')\n"
        "assert 'ntklab' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    found = torch.load(tmp_path / "out.pt", weights_only=True)
    torch.testing.assert_close(found, logits(model, ids), rtol=1e-12, atol=1e-12)


@pytest.fixture
def saved(build, tmp_path):
    save_adapter(inject(build("gpt2"), "lora", target_modules=["c_attn"], rank=2), tmp_path)
    return tmp_path


class TestSentences:
    def test_no_folder(self, build, tmp_path):
        with pytest.raises(InputError, match=r"holds no adapter.json: give a folder"):
            load_adapter(build("gpt2"), tmp_path / "absent")

    def test_damaged_json(self, build, saved):
        (saved / "adapter.json").write_text("{")
        with pytest.raises(InputError, match="is damaged"):
            load_adapter(build("gpt2"), saved)

    def test_another_schema(self, build, saved):
        (saved / "adapter.json").write_text(json.dumps({"schema": "peft"}))
        with pytest.raises(InputError, match="is of schema 'peft'"):
            load_adapter(build("gpt2"), saved)

    def test_damaged_tensors(self, build, saved):
        (weights,) = saved.glob("*.safetensors")
        weights.write_bytes(weights.read_bytes()[:-1])
        with pytest.raises(InputError, match="SHA-256 is another"):
            load_adapter(build("gpt2"), saved)
        weights.unlink()
        with pytest.raises(InputError, match="cannot be read"):
            load_adapter(build("gpt2"), saved)

    def test_another_model(self, build, saved):
        with pytest.raises(InputError, match=r"which LlamaForCausalLM does not have"):
            load_adapter(build("llama"), saved)

    def test_other_sizes(self, build, saved):
        told = json.loads((saved / "adapter.json").read_text())
        told["sizes"] = {"rank": 3}
        (saved / "adapter.json").write_text(json.dumps(told))
        model = build("gpt2")
        with pytest.raises(InputError, match="do not fit this model"):
            load_adapter(model, saved)
        assert injection_of(model) is None

    def test_merged_adapters_are_not_saved(self, build, saved):
        model = merge(load_adapter(build("gpt2"), saved))
        with pytest.raises(InputError, match="merged into the weights"):
            save_adapter(model, saved)


def test_names_that_end_alike_are_told_apart(tmp_path):
    from torch import nn

    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
    other = deepcopy(model)
    inject(model, "lora", target_modules=r"0", rank=2)
    single = inject(deepcopy(other), "lora", target_modules=r"(0)", rank=2)
    assert list(injection_of(model).places) == ["0", "1.0"]
    assert list(injection_of(single).places) == ["0"]
    save_adapter(single, tmp_path)
    assert list(injection_of(load_adapter(other, tmp_path)).places) == ["0"]
