"""A segment's gradients, by its sweep and by its one product, beside autograd and the sweep."""

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.tensor_train import segment as module
from ntklab.tensor_train.contraction import contract
from ntklab.tensor_train.pullback import adjoint_sweep
from ntklab.tensor_train.segment import Segment

seeds = st.integers(0, 2**31 - 1)
small = st.integers(1, 3)


@st.composite
def trains(draw, ins=small):
    """Neighbouring cores with open bonds, and a latent with modes beyond them."""
    length, beyond = draw(st.integers(1, 4)), draw(small)
    ranks = [draw(small) for _ in range(length + 1)]
    modes = [(draw(ins), draw(st.integers(1, 4))) for _ in range(length)]
    generator = torch.Generator().manual_seed(draw(seeds))

    def normal(*size):
        return torch.randn(*size, dtype=torch.float64, generator=generator)

    cores = [normal(ranks[k], *modes[k], ranks[k + 1]) for k in range(length)]
    return cores, normal(beyond * prod(n for n, _ in modes)), normal


def by_both_ways(cores, latent, left, draw):
    """The cotangents and what a segment makes of them, by its sweep and by its tangent map."""
    found = []
    for dense in (-1, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_DENSE", dense)
            segment = Segment(cores, latent, left=left)
        if not found:
            cotangent = draw(5, len(segment.end), segment.end[0].numel())
        room = torch.full((len(cotangent), segment.parameters + 2), 7.0, dtype=torch.float64)
        out = room[:, 1:-1]
        found.append(segment.pull_back(cotangent, out=out))
        assert found[-1].data_ptr() == out.data_ptr()
        assert (room[:, 0] == 7).all()
        assert (room[:, -1] == 7).all()
    torch.testing.assert_close(*found, rtol=1e-11, atol=1e-11)
    return cotangent, found[0], segment


@settings(max_examples=60, deadline=None)
@given(trains())
def test_a_segment_is_differentiated(train):
    """Its end contracted core by core, and autograd through that."""
    cores, latent, normal = train
    leaves = [core.clone().requires_grad_() for core in cores]
    left = cores[0].shape[0]
    whole = torch.einsum("ab,z->abz", torch.eye(left, dtype=torch.float64), latent)
    for core in leaves:
        opened = whole.unflatten(2, (core.shape[1], -1))
        whole = torch.einsum("lanv,anmb->lmbv", opened, core).flatten(0, 1)
    cotangent, found, segment = by_both_ways(cores, latent, left, normal)
    torch.testing.assert_close(segment.end, whole.detach(), rtol=1e-11, atol=1e-11)
    for each, gradient in zip(cotangent, found, strict=True):
        value = (whole.flatten(1) * each).sum()
        grads = torch.autograd.grad(value, leaves, retain_graph=True)
        wanted = torch.cat([grad.reshape(-1) for grad in grads])
        torch.testing.assert_close(gradient, wanted, rtol=1e-10, atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(trains())
def test_a_segment_is_swept(train):
    """Cotangents first give what cotangents last do."""
    cores, latent, normal = train
    cores = [cores[0][:1], *cores[1:]]
    cotangent, found, _ = by_both_ways(cores, latent, 1, normal)
    last = cotangent.permute(1, 2, 0).contiguous()
    grads = adjoint_sweep(cores, latent.reshape(1, 1, -1), last)
    wanted = torch.cat([grad.reshape(-1, grad.shape[-1]) for grad in grads]).T
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)


def test_no_core_at_all():
    latent = torch.arange(3.0)
    segment = Segment([], latent)
    assert segment.parameters == 0
    assert segment.end.tolist() == [[[0.0, 1.0, 2.0]]]
    assert segment.pull_back(torch.ones(4, 1, 3), out=torch.empty(4, 0)).shape == (4, 0)


def test_a_whole_train_ends_in_its_weights():
    cores = [torch.randn(1, 2, 3, 2), torch.randn(2, 1, 5, 1)]
    latent = torch.randn(2)
    weights = contract(cores, latent)
    torch.testing.assert_close(Segment(cores, latent).end.flatten(), weights)


def test_large_products_are_swept():
    """What a cotangent costs decides, not how many there are."""
    cores = [torch.ones(1, 1, 16, 2), torch.ones(2, 2, 16, 2)]
    swept, dense = Segment(cores, torch.ones(4)), Segment(cores[:1], torch.ones(4))
    few = Segment([cores[0][:, :, :4], cores[1][:, :, :4]], torch.ones(4))
    assert swept._tangent is None
    assert dense._tangent is None  # one core: its sweep is one product
    assert few._tangent is not None
