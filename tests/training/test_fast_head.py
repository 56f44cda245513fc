"""The short way to a head's outputs against the head itself, values and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.adapters import TensorGuide, build_adapter
from ntklab.tensor_train import TTShape
from ntklab.training.fast_head import cheapest_cut, fast_forward


def same(model, x):
    short = fast_forward(model)
    weight = torch.randn(len(x), model.out_features, dtype=x.dtype)
    parameters = [p for p in model.parameters() if p.requires_grad]
    fast = torch.autograd.grad((short(x) * weight).sum(), parameters)
    slow = torch.autograd.grad((model(x) * weight).sum(), parameters)
    torch.testing.assert_close(short(x), model(x), rtol=1e-11, atol=1e-12)
    asked = x.clone().requires_grad_()
    by_x = [torch.autograd.grad((f(asked) * weight).sum(), asked)[0] for f in (short, model)]
    torch.testing.assert_close(*by_x, rtol=1e-10, atol=1e-11)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


@settings(max_examples=25)
@given(
    modes=st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4
    ),
    tail=st.sampled_from([2, 4, 8]),
    activation=st.sampled_from(["identity", "relu", "tanh"]),
    based=st.booleans(),
)
def test_any_shape_latent_and_activation(modes, tail, activation, based):
    """Out modes 7 · m_1 ⋯ m_K · tail = M (d + C) with M = tail · m_K ⋯ and d + C = 7."""
    ins = (1, *(n for n, _, _ in modes), 2)
    outs = (7, *(m for _, m, _ in modes), tail)
    ranks = (1, *(r for _, _, r in modes), 2, 1)
    width = 1
    for m in outs[1:]:
        width *= m
    base = torch.nn.Linear(4, 3).double() if based else None
    head = TensorGuide(
        4,
        3,
        width,
        shape=TTShape(ins, outs, ranks),
        activation=activation,
        base=base,
        dtype=torch.float64,
    )
    same(head, torch.randn(5, 4, dtype=torch.float64))


@pytest.mark.parametrize("method", ["lora", "tt-lora", "tensorguide", "tt-delta", "tera"])
def test_every_method(method):
    generator = torch.Generator().manual_seed(0)
    head = build_adapter(method, 64, 2, dtype=torch.float64, generator=generator)
    same(head, torch.randn(3, 64, dtype=torch.float64))


def test_the_released_widths_are_cut_and_rank_two_too():
    for width in (1024, 2048, 4096):
        assert cheapest_cut(build_adapter("tensorguide", 512, 2, width=width)) == 3
    head = build_adapter("tensorguide", 512, 2, width=1024, tt_ranks=(1, 2, 2, 2, 1))
    assert cheapest_cut(head) == 3


def test_a_subclass_with_its_own_forward_is_not_short_circuited():
    class Own(TensorGuide):
        def forward(self, features):
            return 2 * super().forward(features)

    shape = TTShape((1, 1), (6, 4), (1, 2, 1))
    head = Own(4, 2, 4, shape=shape, dtype=torch.float64)
    assert fast_forward(head) is head


def test_a_new_latent_is_read_at_the_next_call():
    head = build_adapter("tensorguide", 64, 2, width=32, dtype=torch.float64)
    short, x = fast_forward(head), torch.randn(3, 64, dtype=torch.float64)
    head.resample_latent()
    torch.testing.assert_close(short(x), head(x), rtol=1e-11, atol=1e-12)
