"""The derivative along ΔW against finite differences of the plain model, and when there is none."""

import copy

import pytest
import torch
from torch import nn

from ntklab import inject
from ntklab.adapters import METHODS
from ntklab.dynamics import linearization_in_weights


def network():
    torch.manual_seed(0)
    layers = [nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3)]
    return nn.Sequential(*layers).double()


def moved(model):
    """Every trained number away from its start, as after training."""
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(0.3 * torch.randn_like(p))
    return model


def along(plain, changes, x, share):
    """f(W + s ΔW) of a copy of the plain model."""
    other = copy.deepcopy(plain)
    with torch.no_grad():
        for name, change in changes.items():
            other.get_submodule(name).weight.add_(share * change)
        return other(x)


def changes_of(model, plain, names):
    """ΔW of each adapted layer, read off from what it does to the unit vectors."""
    deltas = {}
    for name in names:
        layer, before = model.get_submodule(name), plain.get_submodule(name)
        units = torch.eye(before.in_features, dtype=torch.float64)
        with torch.no_grad():
            deltas[name] = (layer(units) - before(units)).T
    return deltas


@pytest.mark.parametrize("start", ["zero", "ntk"])
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"linear-probe"}))
def test_it_is_the_derivative_along_the_change_of_the_weights(method, start):
    plain = network()
    names = ["0", "2", "4"]
    sizes = {"activation": "identity"} if method == "tensorguide" else {}
    options = {"target_modules": names, "start": start, "seed": 1, **sizes}
    model = moved(inject(copy.deepcopy(plain), method, **options))
    x = torch.randn(5, 6, dtype=torch.float64)
    first, change = linearization_in_weights(model, lambda: model(x))
    torch.testing.assert_close(first, plain(x).detach(), rtol=1e-12, atol=1e-12)
    deltas, step = changes_of(model, plain, names), 1e-5
    there, back = along(plain, deltas, x, step), along(plain, deltas, x, -step)
    torch.testing.assert_close(change, (there - back) / (2 * step), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(along(plain, deltas, x, 1.0), model(x), rtol=1e-9, atol=1e-10)


def test_a_model_that_is_linear_in_its_weights_is_linear_in_them_however_its_kernel_changes():
    model = moved(inject(network()[:1], "lora", target_modules=["0"], rank=2, start="zero"))
    x = torch.randn(4, 6, dtype=torch.float64)
    first, change = linearization_in_weights(model, lambda: model(x))
    torch.testing.assert_close(first + change, model(x), rtol=1e-12, atol=1e-12)


def test_layers_of_peft_count_too():
    peft = pytest.importorskip("peft", reason="needs the extra hf")
    plain = network()
    config = peft.LoraConfig(r=2, target_modules=["0", "4"])
    model = peft.inject_adapter_in_model(config, copy.deepcopy(plain)).double().eval()
    moved(model)
    x = torch.randn(5, 6, dtype=torch.float64)
    first, change = linearization_in_weights(model, lambda: model(x))
    torch.testing.assert_close(first, plain(x).detach(), rtol=1e-12, atol=1e-12)
    deltas, step = changes_of(model, plain, ["0", "4"]), 1e-5
    there, back = along(plain, deltas, x, step), along(plain, deltas, x, -step)
    torch.testing.assert_close(change, (there - back) / (2 * step), rtol=1e-6, atol=1e-7)


def test_it_leaves_the_model_as_it_was_and_says_where_no_weights_change():
    model = moved(inject(network(), "lora", target_modules=["0"], rank=2))
    x = torch.randn(4, 6, dtype=torch.float64)
    before = model(x)
    linearization_in_weights(model, lambda: model(x))
    assert torch.equal(model(x), before)
    plain = network()
    assert linearization_in_weights(plain, lambda: plain(x)) is None
    relu = moved(inject(network(), "tensorguide", target_modules=["0"], activation="relu"))
    assert linearization_in_weights(relu, lambda: relu(x)) is None
    flat = x.repeat(2, 1)  # twice as many rows at the layer as samples
    assert linearization_in_weights(model, lambda: model(flat)[:4]) is None
