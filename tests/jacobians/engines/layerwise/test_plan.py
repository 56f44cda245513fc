"""What the engine learns of a model by running it on one sample and on two."""

import pytest
import torch
from torch import nn

from ntklab.jacobians.engines.layerwise import Layerwise, NotLayerwise
from ntklab.jacobians.functional import Functional


def double(*shape):
    return torch.randn(*shape, dtype=torch.float64)


class Borrowed(nn.Module):
    """A block that reads a weight of its own layer without calling it, as attention does."""

    def __init__(self):
        super().__init__()
        self.called, self.read = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.called(x) @ self.read.weight + self.read.bias


def test_a_weight_read_from_outside_belongs_to_the_layer_around(assert_layerwise):
    model = nn.Sequential(nn.Linear(3, 3), Borrowed(), nn.Tanh(), nn.Linear(3, 2))
    plan = assert_layerwise(model, double(4, 3))
    params = {unit.name: set(unit.params) for unit in plan.units}
    assert params["1"] == {"read.weight", "read.bias"}
    assert params["1.called"] == {"weight", "bias"}


class Elsewhere(nn.Module):
    """A weight in a penalty-like term of the whole model, outside of every layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x) + self.layer.weight.sum() * x[:, :1]


def test_a_weight_used_in_the_whole_model_is_refused_by_name():
    model, x = Elsewhere().double(), double(4, 3)
    with pytest.raises(NotLayerwise, match=r"'layer.weight' is used outside of the layer"):
        Layerwise(Functional(model, x)).rows(x)


class OwnParameter(nn.Module):
    """A parameter of the model itself, beside layers."""

    def __init__(self):
        super().__init__()
        self.shift, self.layer = nn.Parameter(torch.randn(3)), nn.Linear(3, 2)

    def forward(self, x):
        return torch.tanh(self.layer(x + self.shift))


def test_a_parameter_of_the_model_itself(assert_layerwise):
    plan = assert_layerwise(OwnParameter(), double(4, 3))
    assert {unit.name: type(unit.rule).__name__ for unit in plan.units} == {
        "": "GenericRule",
        "layer": "LinearRule",
    }


class Folded(nn.Module):
    """Tokens folded into the samples' dimension, and time first, as some models have them."""

    def __init__(self):
        super().__init__()
        self.flat, self.timed = nn.Linear(3, 4), nn.Linear(4, 2)
        self.convolution = nn.Conv1d(2, 3, 2)

    def forward(self, x):
        n, steps, d = x.shape
        h = torch.tanh(self.flat(x.reshape(n * steps, d)).reshape(n, steps, 4))
        h = torch.tanh(self.timed(h.transpose(0, 1))).transpose(0, 1)
        windows = h.unfold(1, 3, 1).reshape(n * (steps - 2), 2, 3)
        return self.convolution(windows).reshape(n, -1)


def test_samples_are_found_where_the_model_puts_them(assert_layerwise):
    plan = assert_layerwise(Folded(), double(3, 5, 3))
    layouts = {plan.units[c.unit].name: c.inputs[0] for c in plan.calls}
    assert (layouts["flat"].axis, layouts["flat"].copies) == (0, 5)
    assert (layouts["timed"].axis, layouts["timed"].copies) == (1, 1)
    assert (layouts["convolution"].axis, layouts["convolution"].copies) == (0, 3)


@pytest.mark.parametrize("ones", [True, False])
def test_positions_that_all_samples_share(assert_layerwise, ones):
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.layer = nn.Embedding(4, 3), nn.Linear(3, 2)

        def forward(self, x):
            places = torch.arange(4)
            return self.layer(torch.tanh(x + self.table(places[None] if ones else places)))[:, -1]

    # As many samples as positions: their dimension must not be taken for the samples'.
    for n in (1, 2, 4, 5):
        assert_layerwise(Positions(), double(n, 4, 3))


class InPlace(nn.Module):
    """Writes into what its layers returned, and into what the last one was given."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(3, 3) for _ in range(3))
        self.third.weight.requires_grad_(False)  # else autograd itself refuses

    def forward(self, x):
        h = nn.functional.relu(self.first(x).mul_(2), inplace=True)
        g = self.second(h).mul_(3)
        out = self.third(g)
        g += 1
        return torch.sin(out) + g


def test_layers_in_a_model_that_writes_in_place(assert_layerwise):
    plan = assert_layerwise(InPlace(), double(4, 3))
    changed = {plan.units[call.unit].name: call.changed for call in plan.calls}
    assert changed == {"first": False, "second": False, "third": True}


class ByValue(nn.Module):
    """Calls a layer only for some samples."""

    def __init__(self):
        super().__init__()
        self.always, self.sometimes = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x):
        out = self.always(x)
        chosen = x[:, 0] > 0
        return out.index_put((chosen,), out[chosen] + self.sometimes(x[chosen]))


def test_samples_that_take_different_ways_are_refused():
    model = ByValue().double()
    for signs in ([1.0, -1.0, 1.0], [1.0, 1.0, 1.0]):
        x = torch.ones(3, 3, dtype=torch.float64) * torch.tensor(signs)[:, None]
        x[1, 0] = -1.0
        with pytest.raises(NotLayerwise, match="samples"):
            Layerwise(Functional(model, x)).rows(x)


class Idle(nn.Module):
    """Layers that reach no output or one output only, and one that is never called."""

    def __init__(self):
        super().__init__()
        self.used, self.dead, self.never = (nn.Linear(2, 1) for _ in range(3))

    def forward(self, x):
        self.dead(x)
        return torch.cat([x.sum(1, keepdim=True), self.used(x)], dim=1)


def test_layers_that_reach_no_output_or_one(assert_layerwise):
    assert_layerwise(Idle(), double(3, 2))
