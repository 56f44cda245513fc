from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ntklab.tensor_train.exact_nullity import exact_nullity
from ntklab.tensor_train.shape import TTShape
from ntklab.tensor_train.shape_warnings import (
    collapse_warnings,
    idle_rank_warnings,
    prime_warnings,
    useful_ranks,
)

modest = settings(max_examples=40, deadline=None)


@st.composite
def shapes(draw):
    length = draw(st.integers(1, 4))
    dims = lambda high: tuple(draw(st.integers(1, high)) for _ in range(length))  # noqa: E731
    return TTShape(dims(2), dims(4), (1, *dims(5)[: length - 1], 1))


@modest
@given(shape=shapes())
def test_useful_ranks_span_as_many_weights(shape):
    """Measured exactly: dropping the idle ranks does not lower the rank of the tangent map."""
    assume(shape.parameters <= 400)
    smaller = TTShape(shape.in_dims, shape.out_dims, useful_ranks(shape))
    dimension = lambda s: s.parameters - exact_nullity(s)  # noqa: E731
    assert dimension(smaller) == dimension(shape)
    assert useful_ranks(smaller) == smaller.ranks
    assert idle_rank_warnings(smaller) == ()


@modest
@given(shape=shapes())
def test_one_sentence_for_each_idle_bond(shape):
    pairs = zip(useful_ranks(shape), shape.ranks, strict=True)
    assert len(idle_rank_warnings(shape)) == sum(useful < rank for useful, rank in pairs)


def test_collapse_needs_a_bond_of_rank_one_and_a_block_that_divides_the_width():
    plain = TTShape.plain
    assert collapse_warnings(plain((8, 8, 4), (1, 2, 1, 1)), 8)
    assert collapse_warnings(plain((8, 4, 2), (1, 1, 2, 1)), 16)
    assert not collapse_warnings(plain((8, 8, 4), (1, 2, 2, 1)), 8)
    assert not collapse_warnings(plain((8, 8, 3), (1, 2, 1, 1)), 8)
    assert not collapse_warnings(plain((8, 8, 1), (1, 2, 1, 1)), 8)
    # A latent that entangles the last two cores carries rank 2 across the bond.
    assert not collapse_warnings(TTShape((1, 2, 2), (8, 8, 4), (1, 2, 1, 1)), 8)


def test_primes_within_a_factor_two_of_balance_are_no_news():
    assert prime_warnings(TTShape.plain((7, 8, 8), (1, 2, 2, 1))) == ()
    (sentence,) = prime_warnings(TTShape.plain((2, 2, 31), (1, 2, 2, 1)))
    assert "prime 31" in sentence
    assert "width" not in sentence
