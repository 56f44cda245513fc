"""Our adapters by peft's machinery: trained, saved, loaded, merged, disabled."""

from copy import deepcopy

import pytest
import torch

from ntklab.adapters.inject import inject
from ntklab.errors import InputError

peft = pytest.importorskip("peft")

from ntklab.adapters.inject.peft_tuner import NtklabConfig, register  # noqa: E402

METHODS = ["lora", "tensorguide", "tera", "tt-delta", "tt-lora"]


def config(method, sizes, **options):
    extra = {"activation": "identity"} if method == "tensorguide" else {}
    given = {"method": method, "start": "ntk", "sizes": {**sizes(method), **extra}, **options}
    return NtklabConfig(**given)


@pytest.mark.parametrize("method", METHODS)
def test_equal_to_the_same_adapters_injected(
    build, architecture, targets, ids, method, sizes, logits
):
    model = build(architecture)
    other = deepcopy(model)
    wrapped = peft.get_peft_model(model, config(method, sizes, target_modules=targets))
    extra = {"activation": "identity"} if method == "tensorguide" else {}
    inject(other, method, target_modules=targets, **sizes(method), **extra)
    assert torch.equal(logits(wrapped, ids), logits(other, ids))
    trained = [p.numel() for p in wrapped.parameters() if p.requires_grad]
    assert trained == [p.numel() for p in other.parameters() if p.requires_grad]


@pytest.mark.parametrize("method", METHODS)
def test_trained_saved_loaded_and_merged(
    build, architecture, targets, ids, tmp_path, method, sizes, logits
):
    base = build(architecture)
    before = logits(base, ids)
    wrapped = peft.get_peft_model(deepcopy(base), config(method, sizes, target_modules=targets))
    optimizer = torch.optim.SGD([p for p in wrapped.parameters() if p.requires_grad], lr=1e-3)
    wrapped(input_ids=ids).logits.square().mean().backward()
    start = logits(wrapped, ids)
    optimizer.step()
    trained = logits(wrapped, ids)
    assert not torch.equal(trained, start)
    with wrapped.disable_adapter():
        assert torch.equal(logits(wrapped, ids), before)
    wrapped.save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(deepcopy(base), tmp_path).double().eval()
    assert torch.equal(logits(again, ids), trained)
    merged = again.merge_and_unload()
    torch.testing.assert_close(logits(merged, ids), trained, rtol=1e-10, atol=1e-10)
    assert set(merged.state_dict()) == set(base.state_dict())


def test_zero_starts_change_nothing_or_are_refused(build, ids, sizes, logits):
    model = build("llama")
    before = logits(model, ids)
    wrapped = peft.get_peft_model(
        model, config("tera", sizes, target_modules=["q_proj"], start="zero")
    )
    torch.testing.assert_close(logits(wrapped, ids), before)
    with pytest.raises(InputError, match="starts at zero by subtracting its start"):
        peft.get_peft_model(
            build("llama"), config("tensorguide", sizes, target_modules=["q_proj"], start="zero")
        )


def test_tera_shares_its_frozen_tensors(build, sizes):
    wrapped = peft.get_peft_model(
        build("llama"), config("tera", sizes, target_modules=["q_proj", "k_proj"])
    )
    assert len([name for name in wrapped.state_dict() if name.endswith(".core")]) == 2


def test_registering_again_is_harmless():
    register()
    assert list(peft.PeftType).count(peft.PeftType.NTKLAB) == 1
