import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from ntklab.adapters import TTDelta
from ntklab.errors import InputError
from ntklab.tensor_train import TTShape
from ntklab.tensor_train.application import application_macs, apply_train

modes = st.lists(st.integers(1, 4), min_size=1, max_size=3)


def drawn(rows, columns, rank, seed=0):
    shape = TTShape.plain((*rows, *columns), (1, *[rank] * (len(rows) + len(columns) - 1), 1))
    d, C = torch.Size(rows).numel(), torch.Size(columns).numel()
    generator = torch.Generator().manual_seed(seed)
    adapter = TTDelta(d, C, shape=shape, generator=generator, dtype=torch.float64)
    x = torch.randn(5, d, generator=generator, dtype=torch.float64)
    return adapter, x


@given(rows=modes, columns=modes, rank=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_equals_the_product_with_the_formed_matrix(rows, columns, rank, seed):
    # A mode of 1 may be counted on either side of the cut; the outputs are the same.
    adapter, x = drawn(rows, columns, rank, seed)
    wanted = x @ adapter.delta()
    assert torch.allclose(apply_train(list(adapter.cores), x), wanted, rtol=1e-12, atol=1e-14)


@given(
    rows=st.lists(st.integers(2, 4), min_size=1, max_size=3),
    columns=st.lists(st.integers(2, 4), min_size=1, max_size=3),
    rank=st.integers(1, 3),
)
@settings(max_examples=15, deadline=None)
def test_multiply_adds_are_those_that_torch_counts(rows, columns, rank):
    adapter, x = drawn(rows, columns, rank)
    with FlopCounterMode(display=False) as counter:
        apply_train(list(adapter.cores), x)
    assert counter.get_total_flops() == 2 * len(x) * application_macs(adapter.shape, x.shape[1])


def test_gradients_are_those_of_the_formed_matrix():
    adapter, x = drawn((2, 3), (2, 2), 2)
    cores = list(adapter.cores)
    one = torch.autograd.grad(apply_train(cores, x).square().sum(), cores)
    other = torch.autograd.grad((x @ adapter.delta()).square().sum(), cores)
    assert all(torch.allclose(a, b) for a, b in zip(one, other, strict=True))


def test_a_train_without_a_bond_at_the_cut_is_refused():
    with pytest.raises(InputError, match="no bond"):
        apply_train([torch.ones(1, 4, 2), torch.ones(2, 9, 1)], torch.ones(3, 6))
