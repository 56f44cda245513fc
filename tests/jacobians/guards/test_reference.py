"""What is compared with `loop` does not depend on the memory that the comparison may take."""

import pytest
import torch
from torch import nn

from ntklab.jacobians.engines.loop import Loop
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.guards.reference import Reference


@pytest.fixture
def functional():
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    return Functional(model.double(), torch.randn(3, 4, dtype=torch.float64))


@pytest.fixture
def x():
    return torch.randn(5, 4, dtype=torch.float64)


def test_some_columns_are_columns_of_all(functional, x):
    whole = Loop(functional).rows(x)
    names = ["2.bias", "0.weight"]
    parts = dict(zip(functional.names, whole.split(functional.sizes, dim=2), strict=True))
    found = Loop(functional).rows_by(names, x)
    torch.testing.assert_close(found, torch.cat([parts[name] for name in names], dim=2))


@pytest.mark.parametrize("memory", [None, 4096, 1])
def test_a_kernel_is_compared_whole_within_any_memory(functional, x, memory, monkeypatch):
    rows = Loop(functional).rows(x)[[0, 4]].flatten(0, 1)
    block, held = rows @ rows.T, []
    original = Loop.rows_by
    monkeypatch.setattr(
        Loop, "rows_by", lambda *args: held.append(original(*args)) or held[-1]
    )  # fmt: skip
    reference = Reference(functional, x, memory)
    assert reference.kernel(block, reference, [0, 4], [0, 4], "full") is None
    sizes = [part.nbytes for part in held]
    assert sum(sizes) == rows.nbytes  # every column of both samples, once
    largest = max(functional.sizes) * 2 * 8
    if memory is not None:
        assert 2 * max(sizes) <= max(memory / 4, 2 * largest)
    other = Reference(functional, x.flip(0), memory)
    crossed = rows @ Loop(functional).rows(x.flip(0))[[1]].flatten(0, 1).T
    assert reference.kernel(crossed, other, [0, 4], [1], "full") is None


@pytest.mark.parametrize("memory", [None, 1])
def test_one_wrong_parameter_is_found_within_any_memory(functional, x, memory):
    parts = Loop(functional).rows(x)[[0, 4]].flatten(0, 1).split(functional.sizes, dim=1)
    reference = Reference(functional, x, memory)
    for wrong in range(len(parts)):
        block = sum(part @ part.T * (2 if k == wrong else 1) for k, part in enumerate(parts))
        assert reference.kernel(block, reference, [0, 4], [0, 4], "full") is not None
