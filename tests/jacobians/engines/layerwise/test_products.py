"""Both ways to a parameter's block of the kernel, beside formed gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.jacobians.engines.layerwise import products
from ntklab.jacobians.engines.layerwise.products import block, by_rows, pairs, work_of
from ntklab.jacobians.engines.layerwise.terms import Choices, Outer, Rows, Vectors, summed_rows

OUTPUTS = ("full", "trace", "pseudo", "diagonal")


def double(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def a_term(kind, n, outputs, positions, left, right):
    if kind == "tokens":
        index = torch.randint(left, (n, positions))
        return Outer(Choices(index, left), Vectors(double(n, outputs, 1, positions, right)))
    c, e = {"left": (outputs, 1), "right": (1, outputs), "both": (outputs, outputs)}[kind]
    sides = double(n, c, 1, positions, left), double(n, e, 1, positions, right)
    return Outer(*map(Vectors, sides))


def truth(first, second, output):
    one, two = summed_rows(first), summed_rows(second)
    c = one.shape[1]
    return {
        "full": one.flatten(0, 1) @ two.flatten(0, 1).T,
        "trace": torch.einsum("ncp,mcp->nm", one, two) / c,
        "pseudo": torch.einsum("ncp,mdp->nm", one, two) / c,
        "diagonal": torch.einsum("ncp,mcp->cnm", one, two),
    }[output]


@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(["left", "right", "both", "tokens"]), min_size=1, max_size=3),
    sizes=st.tuples(*[st.integers(1, 4)] * 5),
    output=st.sampled_from(OUTPUTS),
    symmetric=st.booleans(),
    tile=st.sampled_from([1, 40, 1 << 20]),
    seed=st.integers(0, 1000),
)
def test_rows_and_pairs_are_one_kernel(kinds, sizes, output, symmetric, tile, seed):
    torch.manual_seed(seed)
    n, m, outputs, left, right = sizes
    first = [a_term(kind, n, outputs, 2 + i, left, right) for i, kind in enumerate(kinds)]
    second = [a_term(kind, m, outputs, 3, left, right) for kind in kinds]
    other = first if symmetric else second
    wanted = truth(first, other, output)
    given_other = None if symmetric else second
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "PAIRS_AT_ONCE", tile)
        by_pairs = sum(pairs(a, b, output, torch.float64) for a in first for b in other)
        rows = by_rows(first, given_other, output, torch.float64, most=tile)
        either = block(first, given_other, output, torch.float64, most=tile)
    for found in (by_pairs, rows, either):
        torch.testing.assert_close(found, wanted)


def test_groups_and_formed_gradients_go_by_rows():
    grouped = Outer(Vectors(double(3, 2, 2, 4, 5)), Vectors(double(3, 1, 2, 4, 6)))
    plain = Rows(double(3, 2, 60))
    for output in OUTPUTS:
        terms = [grouped, plain]
        assert work_of(terms, None, output).pairs == float("inf")
        found = block(terms, None, output, torch.float64)
        torch.testing.assert_close(found, truth(terms, terms, output))


def test_groups_are_cut_at_the_left_side():
    terms = [Outer(Vectors(double(3, 2, 2, 4, 5)), Vectors(double(3, 1, 2, 4, 6)))]
    found = by_rows(terms, None, "full", torch.float64, most=30)
    torch.testing.assert_close(found, truth(terms, terms, "full"))


def test_the_count_takes_pairs_for_few_positions_and_rows_for_many():
    def count(n, positions, left, right):
        sides = torch.empty(n, 2, 1, positions, left), torch.empty(n, 1, 1, positions, right)
        return work_of([Outer(*map(Vectors, sides))], None, "full")

    late_convolution, projection = count(8, 4, 512, 4608), count(32, 48, 576, 576)
    assert late_convolution.pairs < late_convolution.rows / 10
    assert projection.rows < projection.pairs / 2


def test_a_table_is_as_large_as_the_tokens_that_occur(monkeypatch):
    """100 million entries a gradient: neither way may form one."""
    first = Outer(Choices(torch.randint(10**6, (4, 3)), 10**6), Vectors(double(4, 2, 1, 3, 100)))
    few = torch.unique(first.left.index, return_inverse=True)[1]
    small = Outer(Choices(few, 12), first.right)
    for limit in (float("inf"), 0.0):
        monkeypatch.setattr(products, "_pairing", lambda a, b, output, limit=limit: limit)
        found = block([first], None, "full", torch.float64)
        torch.testing.assert_close(found, truth([small], [small], "full"))
