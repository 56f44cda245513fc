"""Whole models beside explicit loops: transformers, convolutions, recurrence, shared layers."""

import pytest
import torch
from torch import nn

from ntklab.jacobians.engines.layerwise import Layerwise
from ntklab.jacobians.functional import Functional
from ntklab.tasks.backbones.resnet import ResNet18

IDS = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9]])
MASK = torch.tensor([[1, 1, 1, 0, 0], [1] * 5, [1, 1, 1, 1, 0]])


class LastLogits(nn.Module):
    """Two logits at the last position."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask=None):
        out = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return out.logits[:, -1, 3:5]


def gpt2(transformers):
    config = transformers.GPT2Config(
        vocab_size=11, n_positions=8, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    return LastLogits(transformers.GPT2LMHeadModel(config))


def llama(transformers):
    config = transformers.LlamaConfig(
        vocab_size=11,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    return LastLogits(transformers.LlamaForCausalLM(config))


def bert(transformers):
    config = transformers.BertConfig(
        vocab_size=11,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=8,
    )
    return transformers.BertForSequenceClassification(config)


LANGUAGE_MODELS = {
    "gpt2": (gpt2, ["Conv1DRule", "EmbeddingRule", "LayerNormRule", "LinearRule"]),
    "llama": (llama, ["EmbeddingRule", "LinearRule", "OtherRMSNormRule"]),
    "bert": (bert, ["EmbeddingRule", "LayerNormRule", "LinearRule"]),
}


@pytest.mark.parametrize("name", sorted(LANGUAGE_MODELS))
@pytest.mark.parametrize("masked", [True, False])
def test_language_models(assert_layerwise, name, masked):
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    build, rules = LANGUAGE_MODELS[name]
    x = {"input_ids": IDS} | ({"attention_mask": MASK} if masked else {})
    assert_layerwise(build(transformers), x, rules=rules)


def test_an_image_transformer(assert_layerwise):
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    config = transformers.ViTConfig(
        image_size=8,
        patch_size=4,
        num_channels=1,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
    )
    model = transformers.ViTForImageClassification(config)
    assert_layerwise(model, torch.randn(3, 1, 8, 8, dtype=torch.float64))


def test_peft_lora_needs_no_rule_of_its_own(assert_layerwise):
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    peft = pytest.importorskip("peft", reason="needs the extra hf")
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    model = peft.inject_adapter_in_model(config, llama(transformers))
    assert_layerwise(model, {"input_ids": IDS}, rules=["LinearRule"])


def test_resnet18():
    """Rows of 11 million parameters beside explicit loops, two samples and two outputs."""
    torch.manual_seed(0)
    model = nn.Sequential(ResNet18(1), nn.Linear(512, 2)).double().eval()
    x = torch.randn(2, 1, 33, 33, dtype=torch.float64)
    leaves = list(model.parameters())
    wanted = torch.zeros(4, 4, dtype=torch.float64)
    rows = [
        torch.autograd.grad(value, leaves, retain_graph=True)
        for n in range(2)
        for value in model(x[n : n + 1]).reshape(-1)
    ]
    for i, one in enumerate(rows):
        for j, two in enumerate(rows):
            wanted[i, j] = sum((a * b).sum() for a, b in zip(one, two, strict=True))
    engine = Layerwise(Functional(model, x))
    found = engine.kernel(x, x, "full", torch.float64, 1 << 30)
    assert float((found - wanted).abs().max()) <= 1e-9 * float(wanted.abs().max())


class UNet(nn.Module):
    """One level down and up again, by a transposed convolution, with the shortcut joined on."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
        self.down = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(inplace=True))
        self.up = nn.ConvTranspose2d(4, 3, 2, stride=2)
        self.joined = nn.Conv2d(6, 2, 3, padding=1)

    def forward(self, x):
        kept = self.inside(x)
        return self.joined(torch.cat([kept, self.up(self.down(kept))], 1)).mean((2, 3))


def test_a_unet_with_transposed_convolutions(assert_layerwise):
    rules = ["BatchNormRule", "ConvolutionRule", "TransposedConvolutionRule"]
    assert_layerwise(UNet(), torch.randn(3, 1, 6, 8, dtype=torch.float64), rules=rules)


class Recurrent(nn.Module):
    """An LSTM's last state and a readout, samples first or time first."""

    def __init__(self, first):
        super().__init__()
        self.first = first
        self.recurrence = nn.LSTM(3, 4, num_layers=2, batch_first=first)
        self.readout = nn.Linear(4, 2)

    def forward(self, x):
        if self.first:
            return self.readout(self.recurrence(x)[0][:, -1])
        return self.readout(self.recurrence(x.transpose(0, 1))[1][0][-1])


@pytest.mark.parametrize("first", [True, False])
def test_an_lstm_by_the_generic_rule(assert_layerwise, first):
    x = torch.randn(3, 5, 3, dtype=torch.float64)
    assert_layerwise(Recurrent(first), x, rules=["GenericRule", "LinearRule"])


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_attention_of_torch_reads_a_layer_that_it_does_not_call(assert_layerwise):
    encoder = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    model = nn.Sequential(encoder, nn.Flatten(), nn.Linear(32, 2))
    plan = assert_layerwise(model, torch.randn(3, 4, 8, dtype=torch.float64))
    params = {unit.name: set(unit.params) for unit in plan.units}
    assert "out_proj.weight" in params["0.self_attn"]


def test_a_layer_used_twice(assert_layerwise):
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(4, 2))
    assert_layerwise(model, torch.randn(3, 4, dtype=torch.float64), rules=["LinearRule"])


class TiedEmbedding(nn.Module):
    """One matrix as table of tokens and as last projection, with and without a layer between."""

    def __init__(self, size=9, width=4):
        super().__init__()
        self.table, self.mix = nn.Embedding(size, width, padding_idx=0), nn.Linear(width, width)
        self.last = nn.Linear(width, size, bias=False)
        self.last.weight = self.table.weight

    def forward(self, ids):
        h = self.table(ids)
        return self.last(torch.tanh(self.mix(h)) + h)[:, -1, 2:5]


@pytest.mark.parametrize("names", [None, ["table.weight"]])
def test_tied_embeddings_are_summed_before_they_are_multiplied(assert_layerwise, names):
    assert_layerwise(TiedEmbedding(), IDS.clamp_max(8), names)
    assert_layerwise(TiedEmbedding(width=60), IDS.clamp_max(8), names)  # not made rows at once


def test_parametrized_weights_belong_to_their_layer(assert_layerwise):
    normed = torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    model = nn.Sequential(normed, nn.Tanh(), nn.Linear(4, 2))
    plan = assert_layerwise(model, torch.randn(3, 4, dtype=torch.float64))
    assert {unit.name for unit in plan.units} == {"0", "2"}
