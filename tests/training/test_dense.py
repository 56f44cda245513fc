"""The dense head of two factors against its formula."""

import pytest
import torch

from ntklab.errors import InputError
from ntklab.training import DenseHead


@pytest.mark.parametrize("linear", [False, True])
def test_the_outputs_are_those_of_the_formula(linear):
    head = DenseHead(3, 2, 5, linear=linear, generator=torch.Generator().manual_seed(0))
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    for n, row in enumerate(head(x).detach()):
        hidden = [float(x[n] @ head.first.detach()[:, m]) / 3**0.5 for m in range(5)]
        units = hidden if linear else [max(h, 0.0) for h in hidden]
        for c, value in enumerate(row):
            wanted = sum(u * float(head.second.detach()[m, c]) for m, u in enumerate(units)) / 5
            assert float(value) == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_a_width_that_memory_does_not_hold_is_refused_before_it_is_drawn():
    with pytest.raises(InputError, match="layer"):
        DenseHead(10**6, 2, 10**9)


def test_balancing_keeps_the_function_and_equals_the_norms():
    head = DenseHead(4, 2, 8, generator=torch.Generator().manual_seed(1)).double()
    x = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    first, second = head.balanced()
    torch.testing.assert_close((x @ first).relu() @ second, head(x).detach())
    assert float(first.norm()) == pytest.approx(float(second.norm()))
