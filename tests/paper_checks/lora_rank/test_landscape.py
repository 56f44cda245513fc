"""The landscape beside finite differences, and its certificates beside brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paper_checks.lora_rank._constructed import (
    exactly_indefinite,
    exactly_second_order,
    padded,
    trapped,
)
from paper_checks.lora_rank._landscape import (
    Landscape,
    cross_entropy,
    descend,
    examine,
    logistic,
    squared,
)
from paper_checks.lora_rank._search import from_many_starts, perturbed, spurious

STEP = 1e-6


def losses(rng, count):
    yield squared(rng.normal(size=count))
    yield logistic(rng.choice([-1.0, 1.0], size=count))
    if count % 2 == 0:
        yield cross_entropy(rng.integers(2, size=count // 2), 2)


def difference(function, x):
    """Central differences of a function of an array, one row an entry."""
    rows = []
    for place in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[place] = STEP
        rows.append((function(x + step) - function(x - step)) / (2 * STEP))
    return np.array(rows)


@settings(max_examples=20, deadline=None)
@given(
    q=st.integers(1, 4),
    m=st.integers(1, 4),
    n=st.integers(1, 4),
    r=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
def test_gradient_and_hessian_are_those_of_finite_differences(q, m, n, r, seed):
    rng = np.random.default_rng(seed)
    G, Q = rng.normal(size=(q, m, n)), rng.normal(size=(m + n, r))
    for loss in losses(rng, q):
        landscape = perturbed(Landscape(G, loss, decay=0.3), rng)
        slope = difference(landscape.value, Q).reshape(Q.shape)
        np.testing.assert_allclose(landscape.gradient(Q), slope, rtol=1e-6, atol=1e-6)
        curvature = difference(lambda x, f=landscape: f.gradient(x).ravel(), Q)
        np.testing.assert_allclose(landscape.hessian(Q), curvature, rtol=1e-6, atol=1e-6)


def test_outputs_are_inner_products_one_by_one():
    rng = np.random.default_rng(0)
    G, u, v = rng.normal(size=(3, 4, 2)), rng.normal(size=(4, 2)), rng.normal(size=(2, 2))
    wanted = [sum(g[i, j] * (u @ v.T)[i, j] for i in range(4) for j in range(2)) for g in G]
    landscape = Landscape(G, squared(np.zeros(3)))
    np.testing.assert_allclose(landscape.outputs(np.vstack([u, v])), wanted)


def test_a_certified_point_lies_below_every_other_point_of_every_rank():
    rng = np.random.default_rng(1)
    landscape = Landscape(rng.normal(size=(4, 3, 3)), squared(rng.normal(size=4)), decay=0.2)
    point = descend(landscape, rng.normal(size=(6, 3)))
    assert point.is_global
    others = (descend(landscape, rng.normal(size=(6, rank))) for rank in (1, 2, 3) for _ in "abc")
    assert all(other.value >= point.value - 1e-9 for other in others)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("pinned", [False, True])
def test_constructed_points_are_spurious_in_exact_arithmetic(rank, pinned):
    landscape, Q = trapped(rank, pinned=pinned)
    assert len(landscape.features) == (rank * (rank + 3) // 2 if pinned else rank + 1)
    assert exactly_second_order(landscape, Q)
    assert exactly_indefinite(landscape, Q)
    wider = descend(landscape, np.random.default_rng(0).normal(size=(2 * rank + 2, rank + 1)))
    assert wider.value < landscape.value(Q) - 1e-2


@pytest.mark.parametrize(("pinned", "stays"), [(False, False), (True, True)])
def test_a_small_perturbation_frees_the_point_unless_it_is_pinned(pinned, stays):
    landscape, Q = trapped(2, pinned=pinned)
    for seed in range(3):
        point = descend(perturbed(landscape, np.random.default_rng(seed)), Q)
        assert (point.is_spurious, point.is_global) == (stays, not stays)


def test_exact_arithmetic_refuses_what_is_no_such_point():
    landscape, Q = trapped(2)
    assert not exactly_second_order(landscape, 2 * Q)  # not stationary
    assert not exactly_second_order(landscape, Q / 3)  # no integers
    zero = Landscape(landscape.features, landscape.loss, decay=100.0)
    assert not exactly_indefinite(zero, 0 * Q)
    origin = Landscape(np.array([[[2.0]]]), squared(np.array([3.0])))
    assert np.all(origin.gradient(np.zeros((2, 1))) == 0)
    assert not exactly_second_order(origin, np.zeros((2, 1)))  # a saddle


def test_padding_keeps_a_point_and_raises_the_count_of_dimensions():
    landscape, Q = padded(*trapped(1), 20)
    assert examine(landscape, Q).is_spurious
    assert landscape.sizes == (2, 20, 20)


def test_losses_do_not_overflow():
    far = np.array([800.0, -800.0])
    for loss in (logistic(np.array([-1.0, 1.0])), cross_entropy(np.array([1]), 2)):
        value, slope, curvature = loss(far)
        assert np.isfinite(value)
        assert value > 700
        assert np.isfinite(slope).all()
        assert np.isfinite(curvature).all()


def test_a_search_counts_landscapes_with_two_levels():
    def two_levels(rng):
        return trapped(1)[0]

    def convex(rng):
        return Landscape(rng.normal(size=(1, 2, 2)), squared(np.ones(1)), decay=0.1)

    def ends(draw, starts):
        for seed in range(3):
            rng = np.random.default_rng(seed)
            yield from_many_starts(draw(rng), 1, starts, rng)

    assert sum(bool(spurious(points)) for points in ends(two_levels, 12)) > 0
    for points in ends(convex, 4):
        assert not spurious(points)
        assert len(points) == 4
        assert all(point.is_global for point in points)
