"""K = S ⊗ I + S' ⊗ BBᵀ, written block by block for few outputs and by broadcasting for many."""

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from ntklab.adapters.adapter import Decoupled
from ntklab.jacobians.decoupled import decoupled_kernel


def parts(samples, outputs, seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    return Decoupled(draw(samples, 5), draw(samples, 3), draw(outputs, 2), outputs)


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 9), st.integers(0, 99))
def test_it_is_the_sum_of_two_kronecker_products(these, those, outputs, seed):
    first, other = parts(these, outputs, seed), parts(those, outputs, seed + 1)
    second = replace(other, factor=first.factor)  # of the same head
    identity, across = torch.eye(outputs, dtype=torch.float64), first.factor @ first.factor.T
    for there in (first, second):
        expected = torch.kron(first.shared @ there.shared.T, identity)
        expected += torch.kron(first.coupled @ there.coupled.T, across)
        kernel = decoupled_kernel(first, there, "full")
        torch.testing.assert_close(kernel, expected, rtol=1e-12, atol=1e-12)


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 99))
def test_it_is_symmetric_to_the_bit(samples, outputs, seed):
    head = parts(samples, outputs, seed)
    for output in ("full", "trace", "pseudo", "diagonal"):
        kernel = decoupled_kernel(head, head, output)
        assert torch.equal(kernel, kernel.mT)
