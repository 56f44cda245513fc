"""Every rule beside explicit loops, on random shapes."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from ntklab.adapters import METHODS, build_adapter
from ntklab.jacobians.engines.layerwise import (
    GenericRule,
    Layerwise,
    Rows,
    Rule,
    register_rule,
    rule_for,
)
from ntklab.jacobians.engines.layerwise.rules import rule as registry
from ntklab.jacobians.functional import Functional

few = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
RULES = {
    "lora": "LoRARule",
    "tt-lora": "FactorRule",
    "tensorguide": "FactorRule",
    "tt-delta": "GeneratedRule",
    "tera": "GeneratedRule",
}
CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class Squeeze(nn.Module):
    """A few numbers of whatever shape, so that cotangents differ from place to place."""

    def __init__(self, outputs=2):
        super().__init__()
        self.outputs = outputs

    def forward(self, x):
        flat = torch.tanh(x).flatten(1)
        weights = torch.arange(1.0, 1 + flat.shape[1] * self.outputs, dtype=x.dtype).cos()
        return flat @ weights.reshape(flat.shape[1], self.outputs)


def double(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@few
@given(
    dims=st.integers(1, 3),
    groups=st.integers(1, 3),
    inside=st.integers(1, 2),
    outside=st.integers(1, 2),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    padding=st.sampled_from([0, 1, "same"]),
    mode=st.sampled_from(["zeros", "circular", "replicate"]),
    bias=st.booleans(),
)
def test_convolutions(
    assert_layerwise, dims, groups, inside, outside, kernel, stride, dilation, padding, mode, bias
):
    layer = CONVOLUTIONS[dims](
        groups * inside,
        groups * outside,
        kernel,
        stride=1 if padding == "same" else stride,
        dilation=dilation,
        padding=padding,
        padding_mode=mode,
        groups=groups,
        bias=bias,
    )
    x = double(3, groups * inside, *[5, 6, 5][:dims])
    assert_layerwise(nn.Sequential(layer, Squeeze()), x, rules=["ConvolutionRule"])


@few
@given(
    dims=st.integers(1, 3),
    groups=st.integers(1, 3),
    inside=st.integers(1, 2),
    outside=st.integers(1, 2),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 1),
    more=st.integers(0, 1),
)
def test_transposed_convolutions(
    assert_layerwise, dims, groups, inside, outside, kernel, stride, dilation, padding, more
):
    layer = TRANSPOSED[dims](
        groups * inside,
        groups * outside,
        kernel,
        stride=stride,
        dilation=dilation,
        padding=min(padding, dilation * (kernel - 1)),
        output_padding=min(more, max(stride, dilation) - 1),
        groups=groups,
    )
    x = double(3, groups * inside, *[3, 2, 3][:dims])
    assert_layerwise(nn.Sequential(layer, Squeeze()), x, rules=["TransposedConvolutionRule"])


@few
@given(
    shape=st.lists(st.integers(1, 4), min_size=0, max_size=2),
    d=st.integers(1, 5),
    m=st.integers(1, 5),
    bias=st.booleans(),
)
def test_linear_layers_at_any_number_of_positions(assert_layerwise, shape, d, m, bias):
    x = double(3, *shape, d)
    assert_layerwise(nn.Sequential(nn.Linear(d, m, bias=bias), Squeeze()), x, rules=["LinearRule"])


@pytest.mark.parametrize(
    ("layer", "shape", "rule"),
    [
        (nn.LayerNorm(5), (4, 5), "LayerNormRule"),
        (nn.LayerNorm((4, 5)), (4, 5), "LayerNormRule"),
        (nn.LayerNorm(5, bias=False), (5,), "LayerNormRule"),
        (nn.RMSNorm(5), (4, 5), "RMSNormRule"),
        (nn.RMSNorm((4, 5), eps=0.1), (4, 5), "RMSNormRule"),
        (nn.GroupNorm(2, 4), (4, 3, 3), "GroupNormRule"),
        (nn.BatchNorm1d(4), (4,), "BatchNormRule"),
        (nn.BatchNorm1d(4), (4, 3), "BatchNormRule"),
        (nn.BatchNorm2d(4), (4, 3, 3), "BatchNormRule"),
        (nn.PReLU(), (4, 3), "PReLURule"),
        (nn.PReLU(4), (4, 3, 3), "PReLURule"),
        (nn.PReLU(4), (4,), "PReLURule"),
        (nn.InstanceNorm1d(4, affine=True), (4, 5), "GenericRule"),
        (nn.Bilinear(3, 3, 2), (3,), "GenericRule"),
    ],
)
def test_scales_and_shifts(assert_layerwise, layer, shape, rule):
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        nn.init.uniform_(layer.running_mean)
        nn.init.uniform_(layer.running_var, 0.5, 2.0)
    mixed = nn.Linear(shape[-1], shape[-1], bias=False).requires_grad_(False)
    middle = Twice(layer) if isinstance(layer, nn.Bilinear) else layer
    assert_layerwise(nn.Sequential(mixed, middle, Squeeze()), double(3, *shape), rules=[rule])


class Twice(nn.Module):
    """A layer of two arguments, given one of them by name."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x, input2=torch.tanh(x))


@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}])
def test_embeddings(assert_layerwise, options):
    model, x = nn.Sequential(nn.Embedding(6, 3, **options), Squeeze()), torch.randint(6, (4, 5))
    assert_layerwise(model, x, rules=["EmbeddingRule"])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_adapters_as_layers(assert_layerwise, method):
    layers = [build_adapter(method, 6, 8), nn.Tanh(), build_adapter(method, 8, 4), Squeeze()]
    assert_layerwise(
        nn.Sequential(*layers), double(3, 2, 6), rules=[RULES.get(method, "GenericRule")]
    )


@pytest.mark.parametrize("method", sorted(RULES))
def test_the_rule_of_an_adapter_leaves_its_base_out(assert_layerwise, monkeypatch, method):
    """A base that is watched is not run again, and few multiply-adds are beyond x δᵀ."""
    monkeypatch.setattr("ntklab.jacobians.engines.layerwise.rules.adapter._AT_ONCE", 1)
    base = nn.Linear(6, 4)
    model = nn.Sequential(build_adapter(method, 6, 4, base=base), Squeeze())
    assert_layerwise(model, double(3, 2, 6), rules=[RULES[method]])
    engine = Layerwise(Functional(model, double(3, 2, 6)))
    calls = []
    base.register_forward_hook(lambda *_: calls.append(1))
    engine.rows(double(3, 2, 6))
    planned = len(calls)
    engine.rows(double(3, 2, 6))
    assert len(calls) - planned == 1  # the model's own forward pass


def test_part_of_a_train(assert_layerwise):
    layer = build_adapter("tt-delta", 6, 4, base=nn.Linear(6, 4))
    model = nn.Sequential(layer, Squeeze())
    assert_layerwise(model, double(3, 2, 6), ["0.cores.1"], ["GeneratedRule"])


def test_part_of_an_adapter(assert_layerwise):
    base = nn.Linear(6, 4)
    layer = build_adapter("lora", 6, 4, rank=2, base=base)
    model = nn.Sequential(layer, Squeeze())
    assert_layerwise(model, double(3, 2, 6), ["0.B"], ["LoRARule"])


class Scaled(nn.Module):
    """A layer of somebody else's: y = a · x, one number a channel."""

    def __init__(self, channels):
        super().__init__()
        self.by = nn.Parameter(torch.randn(channels))

    def forward(self, x):
        return self.by * x


def test_a_rule_of_somebody_elses(assert_layerwise, monkeypatch):
    monkeypatch.setattr(registry, "_RULES", list(registry._RULES))
    seen = []

    class ScaledRule(Rule):
        types, parameters = (Scaled,), ("by",)

        def terms(self, module, names, call):
            seen.append(names)
            return {"by": Rows((call.cotangent * call.input.unsqueeze(1)).flatten(2, -2).sum(2))}

    model = nn.Sequential(Scaled(4), nn.Tanh(), Scaled(4), Squeeze())
    assert_layerwise(model, double(3, 2, 4), rules=["GenericRule"])
    assert not seen
    register_rule(ScaledRule())
    assert_layerwise(model, double(3, 2, 4), rules=["ScaledRule"])
    assert seen


class OwnForward(nn.Linear):
    """Not the linear layer that its base is."""

    def forward(self, x):
        return 2 * super().forward(x)


def test_a_subclass_with_its_own_forward_is_another_layer(assert_layerwise):
    assert rule_for(OwnForward(3, 2)) is None
    model = nn.Sequential(OwnForward(3, 2), Squeeze())
    assert_layerwise(model, double(3, 3), rules=["GenericRule"])
    replaced = nn.Linear(3, 2)
    replaced.forward = lambda x: nn.Linear.forward(replaced, x) * 3
    assert rule_for(replaced) is None


class Untraceable(nn.Module):
    """Python control flow on values: `vmap` refuses it, sample by sample it runs."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))

    def forward(self, x):
        return torch.stack([row * self.weight * (1 if row.sum().item() > 0 else -2) for row in x])


def test_the_generic_rule_goes_sample_by_sample_where_it_must(assert_layerwise):
    assert_layerwise(nn.Sequential(Untraceable(), Squeeze()), double(5, 3), rules=["GenericRule"])


def test_a_float32_model_has_float32_rows_and_float64_sums():
    model, x = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)), torch.randn(5, 4)
    engine = Layerwise(Functional(model, x))
    assert engine.rows(x).dtype == torch.float32
    kernel = engine.kernel(x, x, "full", torch.float64, 1 << 30)
    rows = engine.rows(x).flatten(0, 1).double()
    torch.testing.assert_close(kernel, rows @ rows.T, rtol=1e-6, atol=1e-6)
    assert isinstance(GenericRule(), Rule)
