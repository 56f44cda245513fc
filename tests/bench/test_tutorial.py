"""The rivals are right: both tutorial methods give our kernel, on every head they can trace."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ntklab.adapters import build_adapter
from ntklab.bench import jacobian_contraction, ntk_vector_products
from ntklab.jacobians import ntk

METHODS = [jacobian_contraction, ntk_vector_products]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("head", ["lora", "tt-lora", "tensorguide", "tt-delta", "tera"])
def test_equals_the_loop_engine(method, head):
    adapter = build_adapter(head, 6, 3, dtype=torch.float64)
    x = torch.randn(5, 6, dtype=torch.float64)
    torch.testing.assert_close(method(adapter, x, chunk=2), ntk(adapter, x, engine="loop"))


@settings(max_examples=10)
@given(n=st.integers(1, 6), outputs=st.integers(1, 3), chunk=st.integers(1, 7))
def test_the_chunk_changes_nothing(n, outputs, chunk):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, outputs)).double()
    x = torch.randn(n, 4, dtype=torch.float64)
    truth = ntk(model, x, engine="loop")
    for method in METHODS:
        torch.testing.assert_close(method(model, x, chunk=chunk), truth)


def test_frozen_parameters_are_left_out():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).double()
    model[0].requires_grad_(False)
    x = torch.randn(3, 4, dtype=torch.float64)
    truth = ntk(model, x, params=["1.*"], engine="loop")
    for method in METHODS:
        torch.testing.assert_close(method(model, x), truth)
