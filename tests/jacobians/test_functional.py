from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ntklab.errors import InputError
from ntklab.jacobians import jacobian
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.inputs import check_finite, count_samples, take


def double(*size):
    return torch.randn(*size, dtype=torch.float64)


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


@pytest.mark.parametrize(
    ("params", "names"),
    [
        (None, ["0.weight", "0.bias", "2.weight", "2.bias"]),
        (["2.*"], ["2.weight", "2.bias"]),
        ("2.bias", ["2.bias"]),
        (["*.bias"], ["0.bias", "2.bias"]),
        (["2.weight", "0.weight"], ["0.weight", "2.weight"]),  # the module's order, not the list's
        (["2.*", "*.weight"], ["0.weight", "2.weight", "2.bias"]),
    ],
)
def test_parameters_are_chosen_by_name_and_pattern(params, names):
    assert Functional(network(), double(1, 3), params).names == names


def test_frozen_parameters_are_left_out_unless_named():
    model = network()
    model[0].requires_grad_(False)
    assert Functional(model, double(1, 3)).names == ["2.weight", "2.bias"]
    assert Functional(model, double(1, 3), ["0.bias"]).names == ["0.bias"]
    model.requires_grad_(False)
    with pytest.raises(InputError, match="no trainable parameters"):
        Functional(model, double(1, 3))


def test_an_unknown_parameter_names_the_nearest():
    with pytest.raises(InputError, match=r"unknown parameter '2.wieght': did you mean '2.weight'"):
        Functional(network(), double(1, 3), ["2.wieght"])
    with pytest.raises(InputError, match="no trainable parameters"):
        Functional(network(), double(1, 3), [])


def test_the_model_is_left_as_it_is():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    jacobian(model, double(4, 3), engine="loop").gram()
    jacobian(model, double(4, 3), engine="jacrev").gram()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_split_and_join_are_inverse():
    f = Functional(network(), double(1, 3))
    vector = torch.arange(f.parameter_count, dtype=torch.float64)
    parts = f.split(vector)
    assert {n: p.shape for n, p in parts.items()} == {n: p.shape for n, p in f.params.items()}
    assert torch.equal(f.join(parts), vector)


class Returns(nn.Module):
    """Wraps a linear layer's output in whatever a test asks for."""

    def __init__(self, wrap):
        super().__init__()
        self.layer, self.wrap = nn.Linear(3, 2, dtype=torch.float64), wrap

    def forward(self, x):
        return self.wrap(self.layer(x))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: y,
        lambda y: {"hidden": y * 3, "logits": y},
        lambda y: {"y": y},
        lambda y: (y, y * 2),
        lambda y: [y],
        lambda y: SimpleNamespace(logits=y, loss=None),
    ],
    ids=["tensor", "logits", "mapping", "tuple", "list", "attribute"],
)
def test_outputs_are_found_in_what_a_model_returns(wrap):
    model, x = Returns(wrap), double(3, 3)
    plain = jacobian(model.layer, x, engine="loop").dense()
    for engine in ("loop", "jacrev", "vjp-jvp"):
        torch.testing.assert_close(jacobian(model, x, engine=engine).dense(), plain)


@pytest.mark.parametrize(
    ("wrap", "sentence"),
    [
        (lambda y: "text", "the model returns str"),
        (lambda y: {}, "the model returns NoneType"),
        (lambda y: (), "the model returns tuple"),
        (lambda y: y.sum(), r"outputs of shape \(\)"),
        (lambda y: y.T, r"outputs of shape \(2, 1\)"),
    ],
)
def test_outputs_without_a_sample_dimension_are_refused(wrap, sentence):
    with pytest.raises(InputError, match=sentence):
        Functional(Returns(wrap), double(3, 3))


def test_batch_norm_and_dropout_in_training_mode_are_refused():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    with pytest.raises(InputError, match=r"'1' \(BatchNorm1d\) is in training mode.*model.eval"):
        jacobian(model, double(4, 3))
    assert jacobian(model.eval(), double(4, 3)).shape == (8, 34)
    dropping = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)).double()
    with pytest.raises(InputError, match="Dropout"):
        jacobian(dropping, double(4, 3))
    assert jacobian(dropping.eval(), double(4, 3)).shape == (8, 8)
    # A dropout that never drops does no harm in any mode.
    assert jacobian(nn.Sequential(nn.Linear(3, 2), nn.Dropout(0)).double(), double(4, 3))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_bad_inputs_are_counted_and_located(bad):
    x = double(5, 3)
    x[3, 1] = x[4, 0] = bad
    with pytest.raises(InputError, match=r"hold 2 NaN or infinite entries, the first in sample 3"):
        jacobian(network(), x)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (torch.zeros(0, 3), r"shape \(0, 3\): give at least one sample"),
        (torch.tensor(1.0), r"shape \(\): give at least one sample"),
        ({}, "inputs hold no tensor"),
        ({"a": torch.zeros(3), "b": torch.zeros(4)}, "inputs hold 3 and 4 samples"),
    ],
)
def test_inputs_without_samples_are_refused(x, sentence):
    with pytest.raises(InputError, match=sentence):
        check_finite(x)


def test_samples_of_a_mapping_are_taken_together():
    x = {"a": torch.arange(6).reshape(3, 2), "b": torch.arange(3)}
    assert count_samples(x) == 3
    part = take(x, 1, 3)
    assert part["a"].tolist() == [[2, 3], [4, 5]]
    assert part["b"].tolist() == [1, 2]


def test_large_entries_whose_sum_overflows_are_finite():
    check_finite(torch.full((4, 2), 3e38))
