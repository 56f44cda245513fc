"""Outputs through the cut train against the generated weights, values and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.adapters import FactorAdapter, TensorGuide, TTLoRA, build_adapter
from ntklab.tensor_train import Cut, TTShape


def by_generated_weights(head, x):
    """What the class's docstring says, with W1 and W2 formed in full by `contract`."""
    first, second = head.factors()
    outputs = head.scale * head.activation.function(x @ first) @ second
    return outputs if head.base is None else head.base(x) + outputs


def same(head, x):
    weight = torch.randn(*x.shape[:-1], head.out_features, dtype=x.dtype)
    wanted = [p for p in head.parameters() if p.requires_grad]
    asked = x.clone().requires_grad_()
    found, expected = head(asked), by_generated_weights(head, asked)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
    fast, slow = (
        torch.autograd.grad((f * weight).sum(), [*wanted, asked]) for f in (found, expected)
    )
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


@settings(max_examples=25, deadline=None)
@given(
    modes=st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4
    ),
    tail=st.sampled_from([2, 4, 8]),
    activation=st.sampled_from(["identity", "relu", "tanh"]),
    based=st.booleans(),
)
def test_tensorguide_of_any_shape_latent_and_activation(modes, tail, activation, based):
    """Out modes 7 · m_1 ⋯ m_K · tail = M (d + C) with M = tail · m_K ⋯ and d + C = 7."""
    shape = TTShape(
        (1, *(n for n, _, _ in modes), 2),
        (7, *(m for _, m, _ in modes), tail),
        (1, *(r for _, _, r in modes), 2, 1),
    )
    width = shape.out_size // 7
    base = torch.nn.Linear(4, 3).double() if based else None
    head = TensorGuide(
        4, 3, width, shape=shape, activation=activation, base=base, dtype=torch.float64
    )
    same(head, torch.randn(5, 4, dtype=torch.float64))


@settings(max_examples=25, deadline=None)
@given(
    ins=st.lists(st.integers(1, 3), min_size=3, max_size=3),
    ranks=st.lists(st.integers(1, 3), min_size=2, max_size=2),
    last=st.sampled_from([1, 2, 4]),
)
def test_tt_lora_of_any_shape(ins, ranks, last):
    """W1 (6, 4) whose last mode divides the width or spans it; W2 (4, 2)."""
    shape1 = TTShape(tuple(ins), (3, 8 // last, last), (1, *ranks, 1))
    shape2 = TTShape((2, 1), (2, 4), (1, ranks[0], 1))
    head = TTLoRA(6, 2, 4, shape1=shape1, shape2=shape2, dtype=torch.float64)
    same(head, torch.randn(5, 6, dtype=torch.float64))


@pytest.mark.parametrize("method", ["lora", "tt-lora", "tensorguide"])
@pytest.mark.parametrize("shape", [(64,), (3, 64), (2, 3, 64)])
def test_every_method_on_features_of_any_rank(method, shape):
    generator = torch.Generator().manual_seed(0)
    head = build_adapter(method, 64, 2, dtype=torch.float64, generator=generator)
    assert isinstance(head, FactorAdapter)
    same(head, torch.randn(*shape, dtype=torch.float64))


def test_the_published_heads_are_cut_before_their_last_core():
    for sizes in ({"width": 1024}, {"width": 2048}, {"width": 4096}, {"tt_ranks": (1, 2, 2, 2, 1)}):
        head = build_adapter("tensorguide", 512, 2, **({"width": 1024} | sizes))
        assert Cut.best(list(head.cores), head.latent, head.width).position == 3


def test_a_new_latent_is_read_at_the_next_call():
    head = build_adapter("tensorguide", 64, 2, width=32, dtype=torch.float64)
    x = torch.randn(3, 64, dtype=torch.float64)
    before = head(x)
    head.resample_latent()
    assert not torch.allclose(head(x), before)
    torch.testing.assert_close(head(x), by_generated_weights(head, x), rtol=1e-11, atol=1e-12)
