"""Models that other libraries wrap: peft adapters on linear layers and a small transformer."""

import pytest
import torch
from torch import nn

from ntklab.adapters import LoRA
from ntklab.jacobians import jacobian, ntk

peft = pytest.importorskip("peft", reason="peft (extra hf) is not installed")


class Attention(nn.Module):
    """One head of causal attention and a readout, written out so that torch.func can map it."""

    def __init__(self, width=6, tokens=7):
        super().__init__()
        self.embed = nn.Embedding(tokens, width)
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.readout = nn.Linear(width, 3)

    def forward(self, input_ids):
        h = self.embed(input_ids)
        scores = self.q(h) @ self.k(h).mT / h.shape[-1] ** 0.5
        causal = torch.ones(scores.shape[-2:], dtype=torch.bool, device=h.device).tril()
        h = h + scores.masked_fill(~causal, float("-inf")).softmax(-1) @ self.v(h)
        return self.readout(h[:, -1])


@pytest.fixture
def wrapped():
    torch.manual_seed(0)
    config = peft.LoraConfig(r=2, target_modules=["q", "v"], init_lora_weights=False)
    return peft.inject_adapter_in_model(config, Attention()).double().eval()


def test_a_wrapped_transformer_by_every_engine(wrapped):
    ids = torch.randint(7, (4, 5))
    names = [name for name, p in wrapped.named_parameters() if p.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    truth = jacobian(wrapped, ids, engine="loop").dense()
    assert truth.shape == (12, 4 * 2 * 6)
    assert float(truth.abs().max()) > 0
    for engine in ("auto", "jacrev", "vjp-jvp"):
        torch.testing.assert_close(jacobian(wrapped, ids, engine=engine).dense(), truth)


def test_inputs_by_name_and_patterns_of_parameters(wrapped):
    x = {"input_ids": torch.randint(7, (4, 5))}
    parts = [ntk(wrapped, x, params=[f"*lora_{letter}*"]) for letter in "AB"]
    torch.testing.assert_close(sum(parts), ntk(wrapped, x, engine="loop"))


def test_a_wrapped_linear_layer_is_our_lora():
    """peft's LoRA and ours are one function with one kernel, up to where the base sits."""
    torch.manual_seed(0)
    layer = nn.Sequential()
    layer.add_module("head", nn.Linear(6, 3))
    config = peft.LoraConfig(r=2, lora_alpha=5, target_modules=["head"], init_lora_weights=False)
    model = peft.inject_adapter_in_model(config, layer).double().eval()
    weights = {name.split(".")[-3]: p for name, p in model.named_parameters() if "lora_" in name}
    ours = LoRA(6, 3, 2, alpha=5, base=model.head.base_layer, dtype=torch.float64)
    ours.load_state_dict(
        {
            "A": weights["lora_A"],
            "B": weights["lora_B"],
            "base.weight": model.head.base_layer.weight,
            "base.bias": model.head.base_layer.bias,
        }
    )
    x = torch.randn(5, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), model(x))
    torch.testing.assert_close(ntk(ours, x), ntk(model, x))
