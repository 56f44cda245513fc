"""Injected adapters: equal to the layer plus its update, merged, unmerged, removed, shared."""

from copy import deepcopy

import pytest
import torch
from torch import nn

import ntklab
from ntklab.adapters import METHODS
from ntklab.adapters.inject import (
    adapters_in,
    inject,
    injection_of,
    load_adapter,
    merge,
    remove,
    save_adapter,
    unmerge,
)
from ntklab.adapters.inject.recentred import Recentred
from ntklab.errors import InputError

ALL = sorted(METHODS)


@pytest.mark.parametrize("method", ALL)
def test_zero_start_changes_no_output_but_has_a_gradient(
    build, architecture, targets, ids, method, sizes, logits
):
    model = build(architecture)
    before = logits(model, ids)
    inject(model, method, target_modules=targets, start="zero", **sizes(method))
    torch.testing.assert_close(logits(model, ids), before, rtol=1e-12, atol=1e-12)
    model(input_ids=ids).logits.square().sum().backward()
    for name, adapter in adapters_in(model).items():
        own = [p for p in adapter.parameters() if p.requires_grad]
        assert any(p.grad.abs().max() > 0 for p in own), name
    assert all(p.grad is None for p in model.parameters() if not p.requires_grad)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("start", ["ntk", "released", "zero"])
def test_merged_outputs_are_the_adapted_ones(
    build, architecture, targets, ids, method, start, sizes, logits, scramble
):
    model = build(architecture)
    extra = {"activation": "identity"} if method == "tensorguide" else {}
    inject(model, method, target_modules=targets, start=start, **sizes(method), **extra)
    scramble(model)
    plain, state = logits(model, ids), deepcopy(model.state_dict())
    names = set(build(architecture).state_dict())
    assert set(merge(model).state_dict()) == names
    torch.testing.assert_close(logits(model, ids), plain, rtol=1e-10, atol=1e-10)
    unmerge(model)
    assert torch.equal(logits(model, ids), plain)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


def test_merged_in_single_precision(build, architecture, targets, ids, sizes, logits):
    for method in ALL:
        model = build(architecture, dtype=torch.float32)
        extra = {"activation": "identity"} if method == "tensorguide" else {}
        inject(model, method, target_modules=targets, **sizes(method), **extra)
        adapted = logits(model, ids)
        torch.testing.assert_close(logits(merge(model), ids), adapted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", ALL)
def test_remove_gives_the_model_back(build, architecture, targets, ids, method, sizes, logits):
    model = build(architecture)
    model.get_input_embeddings().requires_grad_(False)
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    before, state = logits(model, ids), deepcopy(model.state_dict())
    inject(model, method, target_modules=targets, **sizes(method))
    assert not torch.equal(logits(model, ids), before)
    if method != "tensorguide":
        merge(model)
    remove(model)
    assert injection_of(model) is None
    assert torch.equal(logits(model, ids), before)
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert {name: p.requires_grad for name, p in model.named_parameters()} == flags


def test_an_adapted_layer_is_its_base_plus_its_update(build, architecture, targets):
    model = build(architecture)
    plain = {name: deepcopy(layer) for name, layer in model.named_modules()}
    inject(model, "tt-delta", target_modules=targets, rank=2)
    for name, adapter in adapters_in(model).items():
        x = torch.randn(2, 3, 8, dtype=torch.float64)
        expected = plain[name](x) + adapter.scale * x @ adapter.delta()
        torch.testing.assert_close(adapter(x), expected)


def test_seeds_and_names_decide_the_draws(build):
    first, again = build("llama"), build("llama")
    inject(first, "lora", target_modules=["q_proj", "v_proj"], seed=3)
    inject(again, "lora", target_modules=["q_proj"], layers="-1:", seed=3)
    other = inject(build("llama"), "lora", target_modules=["q_proj"], seed=4)
    assert list(adapters_in(again)) == ["model.layers.2.self_attn.q_proj"]
    for name, adapter in adapters_in(again).items():
        assert torch.equal(adapter.A, adapters_in(first)[name].A)
        assert not torch.equal(adapter.A, adapters_in(other)[name].A)
    layers = list(adapters_in(other).values())
    assert not torch.equal(layers[0].A, layers[1].A)


class TestTeraShares:
    @pytest.fixture
    def model(self, build):
        return inject(build("llama"), "tera", target_modules=["q_proj", "k_proj"], rank=2)

    def test_frozen_tensors_stand_in_the_state_once_for_every_shape(self, model):
        cores = [name for name in model.state_dict() if name.endswith(".core")]
        assert cores == [f"model.layers.0.self_attn.{name}.core" for name in ("q_proj", "k_proj")]

    def test_only_scalings_are_a_layers_own(self, model):
        names = [name for name, p in model.named_parameters() if p.requires_grad]
        modes = len(adapters_in(model)["model.layers.0.self_attn.q_proj"].dims)
        assert len(names) == 6 * modes
        assert all(".scalings." in name for name in names)

    def test_unless_each_layer_is_to_have_its_own(self, model, build, ids, logits, tmp_path):
        options = {"target_modules": ["q_proj", "k_proj"], "rank": 2}
        own = inject(build("llama"), "tera", share=False, **options)
        cores = [name for name in own.state_dict() if name.endswith(".core")]
        assert len(cores) == 6
        drawn = {tuple(own.state_dict()[name].flatten().tolist()) for name in cores}
        assert len(drawn) == 6
        counts = [sum(p.numel() for p in m.parameters() if p.requires_grad) for m in (own, model)]
        assert counts[0] == counts[1]
        save_adapter(own, tmp_path)
        again = load_adapter(build("llama"), tmp_path)
        assert not injection_of(again).share
        assert torch.equal(logits(again, ids), logits(own, ids))

    @pytest.mark.parametrize(
        "change",
        [deepcopy, lambda m: m.float().double(), lambda m: m.to("cpu", torch.float64)],
        ids=["deepcopy", "cast", "to"],
    )
    def test_sharing_survives(self, model, ids, change, logits):
        expected = logits(model.float().double(), ids)
        changed = change(model)
        own = [a for n, a in adapters_in(changed).items() if n.endswith("q_proj")]
        assert own[0].frozen()[0] is own[2].frozen()[0]
        assert torch.equal(logits(changed, ids), expected)
        own[0].core.fill_(0.0)
        assert own[2].delta().abs().max() == 0
        changed.double()
        assert own[2].delta().dtype == torch.float64
        if changed is not model:
            assert adapters_in(model)["model.layers.0.self_attn.q_proj"].core.abs().max() > 0

    def test_layers_of_another_dtype_have_their_own(self, build):
        model = build("llama")
        model.model.layers[1].float()
        inject(model, "tera", target_modules=["q_proj"], rank=2)
        found = list(adapters_in(model).values())
        assert found[1].frozen()[0].dtype == torch.float32
        assert found[2].frozen()[0] is found[0].core


def test_a_layer_in_two_places_gets_one_adapter():
    layer = nn.Linear(6, 6, dtype=torch.float64)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    x = torch.randn(2, 6, dtype=torch.float64)
    inject(model, "lora", target_modules=["0"], rank=2)
    assert model[0] is model[2]
    adapted = model(x)
    torch.testing.assert_close(merge(model)(x), adapted)
    remove(model)
    assert model[0] is layer
    assert model[2] is layer


def test_tensorguide_at_zero_has_the_kernel_of_its_start(ids):
    layer = nn.Linear(8, 6, dtype=torch.float64)
    x = torch.randn(4, 8, dtype=torch.float64)
    kernels = {}
    for start in ("ntk", "zero"):
        model = inject(
            nn.Sequential(deepcopy(layer)),
            "tensorguide",
            target_modules=["0"],
            start=start,
            width=6,
        )
        kernels[start] = ntklab.ntk(model, x, engine="loop")
    assert isinstance(model[0].base, Recentred)
    torch.testing.assert_close(kernels["zero"], kernels["ntk"])


class TestSentences:
    def test_a_relu_tensorguide_cannot_be_merged(self, build):
        model = inject(build("gpt2"), "tensorguide", target_modules=["c_attn"], width=6)
        with pytest.raises(InputError, match="not linear in its input, so no weight equals it"):
            merge(model)

    def test_tied_weights_cannot_be_merged(self, build):
        model = inject(build("gpt2"), "lora", target_modules=["lm_head"], rank=2)
        with pytest.raises(InputError, match=r"'lm_head' is also 'transformer.wte.weight'"):
            merge(model)

    def test_twice(self, build):
        model = inject(build("gpt2"), "lora", target_modules=["c_attn"])
        with pytest.raises(InputError, match="holds injected adapters already"):
            inject(model, "lora", target_modules=["c_fc"])

    def test_merged_twice_and_not_merged(self, build):
        model = inject(build("gpt2"), "lora", target_modules=["c_attn"])
        with pytest.raises(InputError, match="no adapters are merged"):
            unmerge(model)
        with pytest.raises(InputError, match="merged into the weights"):
            merge(merge(model))

    def test_none(self, build):
        with pytest.raises(InputError, match="holds no injected adapters"):
            remove(build("gpt2"))

    def test_start_and_method(self, build):
        with pytest.raises(InputError, match="unknown start 'zeros': did you mean 'zero'"):
            inject(build("gpt2"), "lora", target_modules=["c_attn"], start="zeros")
        with pytest.raises(InputError, match="unknown method 'tt_lora': did you mean 'tt-lora'"):
            inject(build("gpt2"), "tt_lora", target_modules=["c_attn"])

    def test_shapes_that_do_not_factor_name_the_layer_and_leave_the_model(self, build, ids, logits):
        model = build("gpt2")
        before = logits(model, ids)
        with pytest.raises(InputError, match=r"layer 'transformer.h.0.attn.c_attn' \(8 to 24"):
            inject(model, "tt-delta", target_modules=["c_attn"], out_dims=(7, 3))
        assert all(p.requires_grad for p in model.parameters())
        assert torch.equal(logits(model, ids), before)
