"""∂f/∂w against autograd through the weights themselves, and J = G T against the engines."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.adapters import build_adapter
from ntklab.adapters.adapter import dense_tangent
from ntklab.errors import InputError
from ntklab.jacobians import jacobian
from ntklab.jacobians.weight_space import weight_jacobian, weight_kernel

HEADS = [
    ("lora", {"rank": 3}),
    ("tt-lora", {"rank": 2}),
    ("tt-delta", {}),
    ("tera", {}),
    ("tensorguide", {"width": 6, "activation": "identity"}),
    ("tensorguide", {"width": 6, "activation": "relu"}),
    ("tensorguide", {"width": 6, "activation": "gelu"}),
]


def build(method, options, d=6, C=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return build_adapter(method, d, C, generator=generator, dtype=torch.float64, **options)


def by_autograd(head, features):
    """∂f/∂w with w a leaf: the slow, obvious way."""
    weights = head.generate().detach().requires_grad_(True)
    d, C, M = head.in_features, head.out_features, head.width
    if M is None:
        out = features @ weights.reshape(d, C)
    else:
        first, second = weights[: d * M].reshape(d, M), weights[d * M :].reshape(M, C)
        out = head.activation.function(features @ first) @ second
    out = head.scale * out.reshape(-1)
    rows = [torch.autograd.grad(value, weights, retain_graph=True)[0] for value in out]
    return torch.stack(rows)


@pytest.mark.parametrize(("method", "options"), HEADS)
def test_equals_autograd_by_the_weights(method, options):
    head, phi = build(method, options), torch.randn(4, 6, dtype=torch.float64)
    torch.testing.assert_close(
        weight_jacobian(head, phi), by_autograd(head, phi), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize(("method", "options"), HEADS)
def test_chain_rule_gives_the_jacobian(method, options):
    head, phi = build(method, options), torch.randn(4, 6, dtype=torch.float64)
    chained = weight_jacobian(head, phi) @ dense_tangent(head)
    wanted = jacobian(head, phi, engine="loop").dense()
    torch.testing.assert_close(chained, wanted, rtol=1e-10, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(
    N=st.integers(1, 6),
    d=st.integers(2, 7),
    C=st.integers(1, 4),
    r=st.integers(1, 4),
    method=st.sampled_from(["lora", "tt-delta"]),
)
def test_kernel_is_its_gram_matrix(N, d, C, r, method):
    head = build(method, {"rank": r}, d, C) if method == "lora" else build(method, {}, d, C)
    G = weight_jacobian(head, phi := torch.randn(N, d, dtype=torch.float64))
    torch.testing.assert_close(weight_kernel(head, phi), G @ G.T, rtol=1e-11, atol=1e-12)


def test_kernel_of_a_rectified_layer_is_its_gram_matrix():
    head, phi = build(*HEADS[5]), torch.randn(9, 6, dtype=torch.float64)
    G = weight_jacobian(head, phi)
    torch.testing.assert_close(weight_kernel(head, phi), G @ G.T, rtol=1e-11, atol=1e-12)


def test_an_adapter_without_weights_is_refused():
    class Other(torch.nn.Module):
        method, out_features = "other", 2

    with pytest.raises(InputError, match="other generates neither"):
        weight_jacobian(Other(), torch.randn(2, 3))
