from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.tensor_train.contraction import contract, tangent_map
from ntklab.tensor_train.shape import TTShape, attainable_ranks


@st.composite
def shapes(draw, max_length=4):
    length = draw(st.integers(1, max_length))
    ins, outs = (tuple(draw(st.integers(1, top)) for _ in range(length)) for top in (2, 4))
    ranks = (1, *(draw(st.integers(1, 3)) for _ in range(length - 1)), 1)
    return TTShape(ins, outs, ranks)


@pytest.mark.parametrize(
    ("ins", "outs", "ranks", "sentence"),
    [
        ((), (), (1,), "at least one core: out_dims is empty"),
        ((1,), (2, 3), (1, 2, 1), r"in-dims \[1\] has 1 entries and out-dims \[2, 3\] has 2"),
        (
            (1, 1),
            (2, 3),
            (1, 2, 2, 1),
            r"TT-ranks \[1, 2, 2, 1\] has 4 entries, but 2 cores need 3",
        ),
        ((1, 1), (2, 3), (1, 1), r"TT-ranks \[1, 1\] has 2 entries, but 2 cores need 3"),
        ((1, 1), (2, 3), (2, 2, 1), r"TT-ranks \[2, 2, 1\] must begin and end with 1"),
        ((1, 1), (2, 3), (1, 2, 2), r"TT-ranks \[1, 2, 2\] must begin and end with 1"),
        ((1, 0), (2, 3), (1, 2, 1), r"in-dims \[1, 0\] must be whole numbers of at least 1"),
        ((1, 1), (2, -3), (1, 2, 1), r"out-dims \[2, -3\] must be whole numbers"),
        ((1, 1), (2, 3), (1, 0, 1), r"TT-ranks \[1, 0, 1\] must be whole numbers"),
        ((1, 1), (2, 2.5), (1, 2, 1), r"out-dims \[2, 2.5\] must be whole numbers"),
        ((1, True), (2, 3), (1, 2, 1), r"in-dims \[1, True\] must be whole numbers"),
    ],
)
def test_what_does_not_fit_gets_a_sentence(ins, outs, ranks, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        TTShape(ins, outs, ranks)
    assert str(caught.value).endswith(".")


def test_a_shape_is_a_value():
    first, second = TTShape([1, 2], [3.0, 4], [1, 2, 1]), TTShape((1, 2), (3, 4), (1, 2, 1))
    assert first == second
    assert hash(first) == hash(second)
    assert first.out_dims == (3, 4)
    assert all(isinstance(m, int) for m in first.out_dims)
    with pytest.raises(AttributeError):
        first.ranks = (1, 1, 1)


def test_a_plain_train_has_no_latent():
    shape = TTShape.plain((3, 4), (1, 2, 1))
    assert shape.in_dims == (1, 1)
    assert shape.in_size == 1
    assert str(shape) == "in [1,1] out [3,4] ranks [1,2,1]"


@given(shapes())
def test_sizes_are_those_of_the_cores(shape):
    cores = [torch.zeros(size) for size in shape.core_shapes]
    assert shape.parameters == sum(core.numel() for core in cores)
    assert shape.length == len(cores)
    assert contract(cores, torch.zeros(shape.in_size)).shape == (shape.out_size,)
    assert (shape.in_size, shape.out_size) == (prod(shape.in_dims), prod(shape.out_dims))


def test_the_published_parameter_formula():
    # P = Σ r n m r' over the cores of [16, 8, 257, 16] with latent [1, 2, 2, 1].
    shape = TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 1, 1))
    assert shape.parameters == 32 + 64 + 1028 + 16 == 1140
    assert shape.rank_bound == 1140 - 21


def draws(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *size: torch.randn(*size, dtype=torch.float64, generator=generator)  # noqa: E731
    return [draw(*size) for size in shape.core_shapes], draw(shape.in_size)


@settings(max_examples=60, deadline=None)
@given(shapes(), st.integers(0, 100))
def test_the_rank_bound_is_never_exceeded(shape, seed):
    cores, latent = draws(shape, seed)
    values = torch.linalg.svdvals(tangent_map(cores, latent))
    rank = int((values > 1e-9 * values[0]).sum())
    assert rank <= shape.rank_bound


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda k: st.tuples(
            st.lists(st.integers(1, 4), min_size=k, max_size=k),
            st.lists(st.integers(1, 5), min_size=k - 1, max_size=k - 1),
        )
    )
)
def test_plain_trains_attain_their_bound(drawn):
    modes, inner = drawn
    shape = TTShape.plain(modes, (1, *inner, 1))
    cores, latent = draws(shape)
    values = torch.linalg.svdvals(tangent_map(cores, latent))
    assert int((values > 1e-9 * values[0]).sum()) == shape.rank_bound


@settings(max_examples=60, deadline=None)
@given(shapes(), st.integers(0, 100))
def test_bond_ranks_are_the_ranks_of_the_unfoldings(shape, seed):
    cores, latent = draws(shape, seed)
    weights = contract(cores, latent)
    for k in range(1, shape.length):
        unfolding = weights.reshape(prod(shape.out_dims[:k]), -1)
        assert int(torch.linalg.matrix_rank(unfolding, rtol=1e-10)) <= shape.bond_ranks[k]


@settings(max_examples=40, deadline=None)
@given(shapes(), st.integers(1, 6), st.integers(0, 100))
def test_the_effective_width_bounds_the_rank_of_every_cut_of_w(shape, d, seed):
    """W1 is the first d·M entries: for every M that fits, its rank is within the bound."""
    cores, latent = draws(shape, seed)
    weights = contract(cores, latent)
    for width in range(1, shape.out_size // d + 1):
        first = weights[: d * width].reshape(d, width)
        bound = shape.effective_width(width)
        assert 1 <= bound <= width
        assert int(torch.linalg.matrix_rank(first, rtol=1e-10)) <= bound


def test_schmidt_ranks_of_the_latent():
    shape = TTShape((2, 3, 2, 1), (2, 2, 2, 2), (1, 1, 1, 1, 1))
    assert shape.schmidt_ranks == (2, 2, 1)
    latent = torch.randn(12, dtype=torch.float64)
    for k, expected in enumerate(shape.schmidt_ranks, start=1):
        unfolding = latent.reshape(prod(shape.in_dims[:k]), -1)
        assert int(torch.linalg.matrix_rank(unfolding)) == expected


@pytest.mark.parametrize(
    ("ranks", "modes", "reduced"),
    [
        ((1, 2, 2, 1), (2, 2, 2), (1, 2, 2, 1)),
        ((1, 9, 9, 1), (2, 3, 4), (1, 2, 4, 1)),
        ((1, 5, 1), (3, 4), (1, 3, 1)),
        ((1, 4, 4, 1), (4, 1, 4), (1, 4, 4, 1)),
        ((1, 4, 2, 1), (4, 1, 4), (1, 2, 2, 1)),
        ((1,), (), (1,)),
    ],
)
def test_ranks_that_unfoldings_hold(ranks, modes, reduced):
    assert attainable_ranks(ranks, modes) == reduced


def test_shapes_of_the_widths_of_the_paper():
    for last, width, effective in (((16, 8, 257, 16), 1024, 64), ((16, 8, 257, 32), 2048, 64)):
        shape = TTShape((1, 2, 2, 1), last, (1, 2, 2, 1, 1))
        assert shape.out_size == width * 514
        assert shape.effective_width(width) == effective
    lifted = TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 2, 1))
    assert lifted.effective_width(1024) == 128
