"""When the rows of a linear head go through the d basis vectors."""

import pytest
import torch

from ntklab.adapters import TensorGuide, build_adapter
from ntklab.jacobians import jacobian
from ntklab.tensor_train import TTShape

SHIFTED = TTShape((1, 2, 1), (64, 67, 4), (1, 2, 1, 1))  # d = 132, M = 128, C = 2


def shifted(activation="identity", ranks=(1, 2, 1, 1)):
    shape = TTShape(SHIFTED.in_dims, SHIFTED.out_dims, ranks)
    generator = torch.Generator().manual_seed(0)
    return TensorGuide(
        132, 2, 128, shape=shape, activation=activation, generator=generator, dtype=torch.float64
    )


def pays(head, samples):
    features = torch.ones(samples, head.in_features, dtype=next(head.parameters()).dtype)
    return head.basis_pays(features)


def test_it_halves_the_rows_of_a_linear_head():
    head = build_adapter("tt-lora", 16, 4, rank=4)
    assert [pays(head, samples) for samples in (31, 32, 33)] == [False, True, True]
    assert not pays(build_adapter("tensorguide", 16, 4, width=4, activation="relu"), 100)


def test_shifts_are_cheaper():
    assert not pays(shifted(), 1000)
    crossed = TTShape((1, 1, 2), (64, 67, 4), (1, 2, 1, 1))  # a latent mode behind the cut
    head = TensorGuide(132, 2, 128, shape=crossed, activation="identity")
    assert pays(head, 1000)


@pytest.mark.parametrize("ranks", [(1, 2, 1, 1), (1, 2, 3, 1)])
@pytest.mark.parametrize("samples", [50, 300])
def test_rows_are_those_of_autograd(ranks, samples):
    """On either side of 2 d samples, by shifts, at any rank of the cut."""
    head = shifted(ranks=ranks)
    x = torch.randn(samples, 132, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = jacobian(head, x, engine="structured").dense()
    wanted = jacobian(head, x, engine="jacrev").dense()
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11 * float(wanted.abs().max()))
