"""The product bound and its repair against eigenvalues of K taken the obvious way."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.bounds.composition import composition_bounds
from ntklab.errors import InputError


def draw(NC, D, P, rank, seed):
    g = torch.Generator().manual_seed(seed)
    left, right, G = (
        torch.randn(*size, generator=g, dtype=torch.float64)
        for size in ((D, rank), (rank, P), (NC, D))
    )
    return G, left @ right


@settings(max_examples=40, deadline=None)
@given(
    NC=st.integers(1, 6),
    D=st.integers(1, 8),
    P=st.integers(1, 8),
    rank=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_holds_for_any_factors(NC, D, P, rank, seed):
    rank = min(rank, D, P)
    G, T = draw(NC, D, P, rank, seed)
    found = composition_bounds(G, T)
    K = G @ T @ T.T @ G.T
    assert found.rank == rank
    assert found.product_holds
    assert found.repair_holds
    assert found.smallest == pytest.approx(
        max(float(torch.linalg.eigvalsh(K)[0]), 0.0), abs=1e-12 * float(K.trace())
    )
    slow = float(torch.linalg.eigvalsh(T @ T.T)[0]) * float(torch.linalg.eigvalsh(G @ G.T)[0])
    assert found.product == pytest.approx(slow, rel=1e-6, abs=1e-10 * float(K.trace()))
    assert (found.lower > 0) == (rank >= NC)
    assert (found.product > 0) == (rank == D and NC <= D)


def test_is_attained_where_the_tangent_is_an_isometry():
    G, T = draw(3, 6, 4, 4, 1)
    T = torch.linalg.qr(T).Q
    found = composition_bounds(G, T)
    assert found.lower == pytest.approx(found.smallest, rel=1e-12)
    assert found.upper == pytest.approx(found.smallest, rel=1e-12)


def test_a_wrong_bound_would_be_seen():
    from dataclasses import replace

    found = composition_bounds(*draw(3, 6, 5, 5, 2))
    assert not replace(found, lower=2 * found.smallest).repair_holds
    assert not replace(found, upper=0.5 * found.smallest).repair_holds
    assert not replace(found, product=2 * found.smallest).product_holds


def test_factors_that_do_not_multiply_are_refused():
    with pytest.raises(InputError, match="do not multiply"):
        composition_bounds(torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(InputError, match="zero"):
        composition_bounds(torch.ones(2, 3), torch.zeros(3, 3))
