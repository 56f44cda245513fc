"""The adjoint sweeps beside the dense tangent map, over latents, cuts and tails of every kind."""

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.tensor_train.contraction import contract, tangent_map
from ntklab.tensor_train.pullback import (
    Cut,
    adjoint_sweep,
    pull_back_layer,
    shifts_pay,
)
from ntklab.tensor_train.shape import TTShape

seeds = st.integers(0, 2**31 - 1)


def drawn(shape, seed):
    generator = torch.Generator().manual_seed(seed)

    def normal(*size):
        return torch.randn(*size, dtype=torch.float64, generator=generator)

    return [normal(*size) for size in shape.core_shapes], normal(shape.in_size), normal


def flat(grads):
    """One gradient a core, as columns of parameters first."""
    return torch.cat([grad.reshape(-1, grad.shape[-1]) for grad in grads])


def assert_equal(found, wanted):
    scale = float(wanted.abs().max()) or 1.0
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max()) <= 1e-12 * scale


@st.composite
def shapes(draw):
    length = draw(st.integers(1, 4))
    ins = tuple(draw(st.integers(1, 3)) for _ in range(length))
    outs = tuple(draw(st.integers(1, 4)) for _ in range(length))
    return TTShape(ins, outs, (1, *(draw(st.integers(1, 3)) for _ in range(length - 1)), 1))


@settings(max_examples=40, deadline=None)
@given(shapes(), st.integers(1, 4), seeds)
def test_a_sweep_is_the_transposed_tangent_map(shape, batch, seed):
    cores, latent, normal = drawn(shape, seed)
    cotangent = normal(shape.out_size, batch)
    grads = adjoint_sweep(cores, latent.reshape(1, 1, -1), cotangent.unsqueeze(1))
    assert [grad.shape[:-1] for grad in grads] == [core.shape for core in cores]
    assert_equal(flat(grads), tangent_map(cores, latent).T @ cotangent)


@settings(max_examples=30, deadline=None)
@given(shapes(), st.integers(1, 3), seeds)
def test_a_sweep_over_a_segment_leaves_the_rest_open(shape, batch, seed):
    """Leading cores only: the right bond and the latent modes beyond are part of the cotangent."""
    cores, latent, normal = drawn(shape, seed)
    weights_of = latent.reshape(1, 1, -1)
    for k in range(1, shape.length + 1):
        open_ = cores[k - 1].shape[3] * prod(shape.in_dims[k:])
        cotangent = normal(prod(shape.out_dims[:k]), open_, batch)
        leaves = [core.clone().requires_grad_() for core in cores[:k]]
        left = latent.reshape(1, 1, -1)
        for core in leaves:
            n = core.shape[1]
            blocks = left.reshape(left.shape[0], core.shape[0], n, -1)
            left = torch.einsum("lanv,anmb->lmbv", blocks, core)
            left = left.reshape(-1, core.shape[3], left.shape[-1])
        grads = adjoint_sweep(cores[:k], weights_of, cotangent)
        for x in range(batch):
            value = (left.reshape(cotangent.shape[:2]) * cotangent[..., x]).sum()
            wanted = torch.autograd.grad(value, leaves, retain_graph=True)
            assert_equal(
                flat([g[..., x : x + 1] for g in grads]),
                torch.cat([g.reshape(-1, 1) for g in wanted]),
            )


@settings(max_examples=40, deadline=None)
@given(shapes(), st.integers(1, 24), seeds)
def test_a_cut_train_is_the_train(shape, width, seed):
    cores, latent, _ = drawn(shape, seed)
    cut = Cut.best(cores, latent, width)
    trailing = cut.right.shape[1]
    assert trailing == prod(shape.out_dims[cut.position :])
    assert width % trailing == 0
    torch.testing.assert_close((cut.left @ cut.right).reshape(-1), contract(cores, latent))


def by_dense_tangent(cores, latent, features, slope, hidden, second):
    """Tᵀ on the whole cotangents, each formed in full."""
    width, outputs = second.shape
    alone = prod(core.shape[2] for core in cores) == len(features) * width
    tangent = tangent_map(cores, latent)
    columns = []
    for c in range(outputs):
        first = torch.einsum("dn,mn->dmn", features, second[:, c : c + 1] * slope).flatten(0, 1)
        below = torch.zeros(width, outputs, features.shape[1], dtype=torch.float64)
        below[:, c] = hidden
        whole = first if alone else torch.cat([first, below.flatten(0, 1)])
        columns.append(tangent.T @ whole)
    return torch.stack(columns, dim=1)


# (in-dims, out-dims, ranks), d, M, C: whether bonds fall on the width, on M C, or nowhere.
LAYERS = {
    "collapsed, one bond inside the width": (
        ((1, 2, 2, 1), (4, 4, 2, 4), (1, 2, 2, 1, 1)),
        14,
        8,
        2,
    ),
    "aligned, rank 2 at the cut": (((1, 2, 1), (4, 8, 4), (1, 2, 2, 1)), 14, 8, 2),
    "cut at the whole width": (((2, 1), (16, 8), (1, 3, 1)), 14, 8, 2),
    "two cores behind the cut": (((1, 2, 2), (16, 2, 4), (1, 3, 2, 1)), 14, 8, 2),
    "latent behind the cut": (((1, 1, 3), (16, 2, 4), (1, 2, 2, 1)), 14, 8, 2),
    "latent in every core": (((2, 2, 2, 2), (4, 4, 2, 4), (1, 2, 3, 2, 1)), 14, 8, 2),
    "no bond divides the width": (((1, 2, 1), (4, 2, 11), (1, 2, 2, 1)), 9, 8, 2),
    "C does not divide the trailing modes": (((1, 2, 1), (5, 4, 3), (1, 2, 2, 1)), 7, 6, 3),
    "trailing modes are a multiple of C": (((1, 2, 1), (5, 2, 6), (1, 2, 2, 1)), 7, 6, 3),
    "three outputs, even cut": (((1, 1, 2), (5, 3, 4), (1, 2, 2, 1)), 2, 12, 3),
    "one output": (((1, 2), (8, 4), (1, 2, 1)), 7, 4, 1),
    "one core": (((3,), (32,), (1, 1)), 7, 4, 1),
    "one hidden unit": (((1, 2), (3, 3), (1, 2, 1)), 7, 1, 2),
    "one feature": (((1, 2), (3, 8), (1, 2, 1)), 1, 8, 2),
    "W1 alone, aligned": (((2, 3), (7, 8), (1, 2, 1)), 14, 4, 2),
    "W1 alone, collapsed": (((1, 2, 1), (7, 4, 2), (1, 2, 1, 1)), 14, 4, 2),
    "W1 alone, unaligned": (((2, 3), (8, 7), (1, 2, 1)), 14, 4, 2),
}


@pytest.mark.parametrize(("modes", "d", "width", "outputs"), LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("samples", [1, 3, 21])
def test_layers_of_every_kind(modes, d, width, outputs, samples):
    shape = TTShape(*modes)
    assert shape.out_size in (width * (d + outputs), width * d)
    cores, latent, normal = drawn(shape, samples)
    sizes = ((d, samples), (width, samples), (width, samples), (width, outputs))
    layer = [normal(*size) for size in sizes]
    found = pull_back_layer(cores, latent, *layer)
    assert_equal(found, by_dense_tangent(cores, latent, *layer))


def factorizations(number):
    """Ordered factorizations into at most four modes, ones among them allowed."""

    @st.composite
    def draw_modes(draw):
        length, rest, modes = draw(st.integers(1, 4)), number, []
        for _ in range(length - 1):
            divisors = [m for m in range(1, rest + 1) if rest % m == 0]
            modes.append(draw(st.sampled_from(divisors)))
            rest //= modes[-1]
        return (*modes, rest)

    return draw_modes()


@settings(max_examples=120, deadline=None)
@given(
    d=st.integers(1, 6),
    width=st.integers(1, 8),
    outputs=st.integers(1, 4),
    samples=st.integers(1, 5),
    alone=st.booleans(),
    seed=seeds,
    data=st.data(),
)
def test_layers_of_any_shape(d, width, outputs, samples, alone, seed, data):
    outs = data.draw(factorizations(width * d if alone else width * (d + outputs)))
    ins = tuple(data.draw(st.integers(1, 2)) for _ in outs)
    ranks = (1, *(data.draw(st.integers(1, 3)) for _ in outs[1:]), 1)
    cores, latent, normal = drawn(TTShape(ins, outs, ranks), seed)
    sizes = ((d, samples), (width, samples), (width, samples), (width, outputs))
    layer = [normal(*size) for size in sizes]
    assert_equal(pull_back_layer(cores, latent, *layer), by_dense_tangent(cores, latent, *layer))


def test_blocks_of_samples_change_nothing(monkeypatch):
    shape = TTShape((1, 2, 2, 1), (4, 4, 2, 4), (1, 2, 2, 1, 1))
    cores, latent, normal = drawn(shape, 0)
    layer = [normal(14, 50), normal(8, 50), normal(8, 50), normal(8, 2)]
    whole = pull_back_layer(cores, latent, *layer)
    calls = []

    def few(bytes_per_sample, cache=0):
        calls.append(bytes_per_sample)
        return 8

    monkeypatch.setattr("ntklab.tensor_train.pullback._samples_in_block", few)
    assert_equal(pull_back_layer(cores, latent, *layer), whole)
    assert len(calls) == 1


def test_when_shifts_pay():
    def pays(dims, ranks, width, samples, outputs=2, dtype=torch.float32, ins=(1, 2, 1)):
        shape = TTShape(ins, dims, ranks)
        cores = [torch.ones(*size) for size in shape.core_shapes]
        latent = torch.ones(shape.in_size)
        cut = Cut.best(cores, latent, width)
        features = torch.ones(1, samples, dtype=dtype)
        return shifts_pay(cores, cut, features, torch.ones(width, outputs))

    shape = (128, 257, 16), (1, 4, 1, 1), 1024
    assert pays(*shape, 512)
    assert pays(*shape, 512, dtype=torch.float64)
    assert not pays(*shape, 512, dtype=torch.float16)
    assert not pays(*shape, 300)  # fewer blocks than shifts
    assert not pays(*shape, 512, outputs=60)  # W2's own table would be the largest
    assert not pays(*shape, 512, ins=(1, 1, 2))  # a latent mode crosses the cut
    assert not pays((8, 17, 2), (1, 2, 1, 1), 4, 66)  # tiny
