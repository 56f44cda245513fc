import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.bench import Counts, counted

sizes = st.integers(1, 7)


@settings(max_examples=20, deadline=None)
@given(sizes, sizes, sizes)
def test_a_product_counts_as_by_hand(n, m, k):
    A, B = torch.ones(n, m), torch.ones(m, k)
    assert counted(lambda: A @ B) == Counts(n * m * k, 4 * (n * m + m * k + n * k), 1)


def test_views_are_free_and_copies_are_not():
    A = torch.ones(4, 6)
    assert counted(lambda: A.T.reshape(2, 3, 4).transpose(0, 1)[1:]) == Counts(0, 0, 0)
    assert counted(A.T.contiguous) == Counts(0, 2 * 4 * 24, 1)
    assert counted(lambda: A.T.reshape(24)) == Counts(0, 2 * 4 * 24, 1)


def test_what_is_written_in_place_counts():
    A = torch.ones(4, 6)
    assert counted(lambda: A.add_(1.0)).operations == 1


def test_operations_are_counted_one_by_one():
    A = torch.ones(5, 5, dtype=torch.float64)
    once, twice = counted(lambda: A.relu() @ A), counted(lambda: (A @ A).relu() + A @ A)
    assert (once.operations, twice.operations) == (2, 4)
    assert twice.multiply_adds == 2 * once.multiply_adds == 250


@pytest.mark.parametrize("repeat", range(2))
def test_counts_are_the_same_again(repeat):
    layer, x = torch.nn.Linear(6, 3), torch.ones(2, 6)
    assert counted(lambda: layer(x)) == counted(lambda: layer(x))
