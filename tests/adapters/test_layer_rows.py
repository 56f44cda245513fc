"""Rows of a generated layer by shifts and by sweeps, beside autograd through the whole weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.adapters import TensorGuide, TTLoRA, compiled, layer_rows
from ntklab.adapters.activation import ACTIVATIONS
from ntklab.jacobians import jacobian
from ntklab.tensor_train import Cut, TTShape, contract

small = st.integers(1, 5)
seeds = st.integers(0, 2**31 - 1)


def rows_of(cores, latent, features, second, *others, **options):
    cut = Cut.best(cores, latent, len(second))
    return layer_rows.layer_rows(cores, latent, cut, features, second, *others, **options)


def by_autograd(cores, latent, features, second, activation, scale):
    """The layer written out; W2 is the end of the train unless that generates W1 alone."""
    width, (samples, d) = len(second), features.shape
    leaves = [core.clone().requires_grad_() for core in cores]
    weights = contract(leaves, latent)
    first = weights[: d * width].reshape(d, width)
    if len(weights) > d * width:
        second = weights[d * width :].reshape(second.shape)
    outputs = scale * activation.function(features @ first) @ second
    rows = [
        torch.cat([g.reshape(-1) for g in torch.autograd.grad(value, leaves, retain_graph=True)])
        for value in outputs.reshape(-1)
    ]
    return torch.stack(rows).reshape(samples, second.shape[1], -1)


@st.composite
def layers(draw):
    """A train whose last one or two cores lie behind the cut, no latent mode there."""
    d, groups, places, outputs, samples = (draw(small) for _ in range(5))
    width = groups * places
    leading = groups * (d if draw(st.booleans()) else d + outputs)
    length = draw(st.sampled_from([m for m in range(1, leading + 1) if leading % m == 0]))
    inner = draw(st.sampled_from([m for m in range(1, places + 1) if places % m == 0]))
    outs = (leading // length, length, inner, places // inner)
    ins = (draw(st.integers(1, 2)), draw(st.integers(1, 2)), 1, 1)
    ranks = (1, *(draw(st.integers(1, 3)) for _ in range(3)), 1)
    return TTShape(ins, outs, ranks), d, width, outputs, samples


def drawn(sizes, seed):
    shape, d, width, outputs, samples = sizes
    generator = torch.Generator().manual_seed(seed)

    def normal(*size):
        return torch.randn(*size, dtype=torch.float64, generator=generator)

    cores, latent = [normal(*size) for size in shape.core_shapes], normal(shape.in_size)
    features, second = normal(samples, d), normal(width, outputs)
    if shape.out_size > d * width:
        second = contract(cores, latent)[d * width :].reshape(width, outputs)
    return cores, latent, features, second


def closed(cores, cut, features, second):
    """Shifts wherever they are possible, however small the layer."""
    return cut.right.shape[0] == cores[cut.position - 1].shape[3]


@settings(max_examples=120, deadline=None)
@given(layers(), st.sampled_from(sorted(ACTIVATIONS)), st.sampled_from([1.0, 0.3]), seeds)
def test_both_ways_are_autograd(sizes, name, scale, seed):
    layer = (*drawn(sizes, seed), ACTIVATIONS[name], scale)
    wanted = by_autograd(*layer)
    with pytest.MonkeyPatch.context() as patch:
        for pays in (closed, lambda *_: False):
            patch.setattr(layer_rows, "shifts_pay", pays)
            found = rows_of(*layer)
            assert found.is_contiguous()
            torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


COLLAPSED = TTShape((1, 2, 1), (4, 14, 4), (1, 2, 1, 1)), 12, 16, 2, 6


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("case", ["zero samples", "zero left", "zero right"])
def test_at_the_kink(name, case, monkeypatch):
    """h = 0 for some units or all: σ'(0) is what autograd takes it for."""
    monkeypatch.setattr(layer_rows, "shifts_pay", closed)
    cores, latent, features, _ = drawn(COLLAPSED, 3)
    if case == "zero samples":
        features[::2] = 0
    elif case == "zero left":
        cores[0][:, :, :2] = 0
    else:
        cores[2][0, 0, 1] = 0
    second = contract(cores, latent)[12 * 16 :].reshape(16, 2)
    layer = cores, latent, features, second, ACTIVATIONS[name], 1.0
    torch.testing.assert_close(rows_of(*layer), by_autograd(*layer), rtol=1e-11, atol=1e-12)


def test_blocks_of_samples_change_nothing(monkeypatch):
    monkeypatch.setattr(layer_rows, "shifts_pay", closed)
    layer = (*drawn((*COLLAPSED[:4], 11), 0), ACTIVATIONS["relu"], 1.0)
    whole = rows_of(*layer)
    torch.testing.assert_close(rows_of(*layer, held_bytes=1), whole, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", ["relu", "identity"])
def test_the_loop_over_signs_does_the_same_before_it_is_compiled(name, monkeypatch):
    """The lines themselves, run by the interpreter, with a unit at its kink."""
    monkeypatch.setattr(layer_rows, "shifts_pay", closed)
    cores, latent, features, second = drawn(COLLAPSED, 7)
    features[0] = 0
    layer = cores, latent, features, second, ACTIVATIONS[name], 1.0
    wanted = rows_of(*layer)
    monkeypatch.setattr(compiled, "by_signs", compiled.by_signs.py_func)
    torch.testing.assert_close(rows_of(*layer), wanted, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_no_bit(threads, monkeypatch):
    monkeypatch.setattr(layer_rows, "shifts_pay", closed)
    monkeypatch.setattr(layer_rows, "_WORTH_A_THREAD", 1)
    layer = (*drawn((*COLLAPSED[:4], 23), 0), ACTIVATIONS["relu"], 1.0)
    before, found = torch.get_num_threads(), []
    try:
        for count in (1, threads):
            torch.set_num_threads(count)
            found.append(rows_of(*layer, held_bytes=1))  # one sample a block
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


@pytest.mark.parametrize(
    ("samples", "threads", "most", "lengths"),
    [
        (1000, 2, 145, [125] * 8),
        (7, 2, 100, [3, 4]),
        (1, 4, 9, [1]),
        (5, 2, 0, [1] * 5),
        (0, 2, 9, []),
    ],
)
def test_blocks_are_of_equal_size_and_fit(samples, threads, most, lengths):
    blocks = layer_rows._blocks(samples, threads, most)
    assert [stop - start for start, stop in blocks] == lengths
    assert [place for block in blocks for place in range(*block)] == list(range(samples))


HEADS = {
    "collapsed": lambda **o: TensorGuide(
        512, 2, 1024, shape=TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 1, 1)), **o
    ),
    "rank 2 at the cut": lambda **o: TensorGuide(
        512, 2, 1024, shape=TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 2, 1)), **o
    ),
    "W1 alone": lambda **o: TTLoRA(
        512,
        2,
        16,
        shape1=TTShape((1, 2, 1), (64, 64, 2), (1, 3, 2, 1)),
        shape2=TTShape((1, 1), (8, 4), (1, 2, 1)),
        **o,
    ),
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_real_sizes_take_the_shifts_and_agree_with_the_loop(head, monkeypatch):
    adapter = head(dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    features = torch.randn(3, 512, generator=torch.Generator().manual_seed(1)).double()
    truth = jacobian(adapter, features, engine="jacrev").dense()
    monkeypatch.setattr(layer_rows, "pull_back_layer", None)  # would raise if it were called
    found = jacobian(adapter, features, engine="structured").dense()
    torch.testing.assert_close(found, truth, rtol=1e-11, atol=1e-11 * float(truth.abs().max()))
