"""Autograd beside finite differences: what is told apart, and what is not blamed."""

import torch
from torch import nn

from ntklab.jacobians.guards.derivative import check_derivative


class Detached(nn.Linear):
    """Holds the norm of its weight constant in the backward pass, as DoRA does."""

    def forward(self, x):
        return super().forward(x) / self.weight.norm().detach()


def inputs(dtype=torch.float64):
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)


def network(last=nn.Linear):
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), last(5, 2)).double()


def test_a_plain_network_agrees():
    check = check_derivative(network(), inputs())
    assert check.exact
    assert check.worst is None
    assert check.gap < 1e-3


def test_float32_rounding_is_no_gap():
    assert check_derivative(network().float(), inputs(torch.float32)).exact


def test_a_detached_norm_is_named():
    check = check_derivative(network(Detached), inputs())
    assert not check.exact
    assert check.worst == "2.weight"
    assert "kernel is that of training" in str(check)


def test_only_the_parameters_asked_for_count():
    assert check_derivative(network(Detached), inputs(), ["0.*"]).exact


def test_a_parameter_at_zero_is_moved_too():
    model = network(Detached)
    model[0].weight.data.zero_()
    assert check_derivative(model, inputs(), ["0.*"]).exact


def test_hooks_are_reported():
    model = network()
    model[0].weight.register_hook(lambda grad: 0.5 * grad)
    check = check_derivative(model, inputs())
    assert check.hooked == ("0.weight",)
    assert check.gap < 1e-3
    assert not check.exact
    assert "not that of training" in str(check)


class WithAnIdleLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.idle = nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x):
        return self.used(x)


def test_parameters_that_do_nothing_agree():
    assert check_derivative(WithAnIdleLayer().double(), inputs()).gap < 1e-3
