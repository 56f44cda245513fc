import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.tensor_train.contraction import contract, tangent_map
from ntklab.tensor_train.gauge import (
    canonical_gauge,
    equal_norm_gauge,
    gauge_null_vectors,
    nullity,
    predicted_nullity,
    scale_bond,
    tangent_bounds,
)
from ntklab.tensor_train.shape import TTShape

torch.set_num_threads(1)
modest = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**31 - 1)


@st.composite
def shapes(draw, largest_mode=5, latent=True, min_length=1):
    length = draw(st.integers(min_length, 4))
    dims = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(length))  # noqa: E731
    ranks = (1, *(draw(st.integers(1, 3)) for _ in range(length - 1)), 1)
    return TTShape(dims(1, 2) if latent else (1,) * length, dims(2, largest_mode), ranks)


def random_problem(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *size: torch.randn(size, dtype=torch.float64, generator=generator)  # noqa: E731
    return [draw(*core) for core in shape.core_shapes], draw(shape.in_size)


def nonzero_singular_values(cores, latent):
    found = nullity(cores, latent)
    return torch.linalg.svdvals(tangent_map(cores, latent))[: found.rank]


@modest
@given(shape=shapes(), seed=seeds)
def test_gauge_vectors_lie_in_the_kernel_of_the_tangent_map(shape, seed):
    cores, latent = random_problem(shape, seed)
    null = gauge_null_vectors(cores)
    assert null.shape == (shape.parameters, sum(r * r for r in shape.ranks[1:-1]))
    tangent = tangent_map(cores, latent)
    if null.shape[1]:
        scale = float(tangent.norm()) * float(null.norm())
        assert float((tangent @ null).abs().max()) <= 1e-12 * scale


def test_gauge_vectors_are_independent_where_the_ranks_are_held():
    cores, _ = random_problem(TTShape((1, 2, 2, 1), (3, 3, 4, 3), (1, 2, 2, 1, 1)), 0)
    null = gauge_null_vectors(cores)
    assert int(torch.linalg.matrix_rank(null)) == null.shape[1] == 9


def test_gauge_vectors_are_the_derivative_of_the_group_action():
    cores, latent = random_problem(TTShape((2, 1, 2), (3, 2, 3), (1, 2, 3, 1)), 1)
    direction = torch.randn(3, 3, dtype=torch.float64)
    step = torch.matrix_exp(1e-6 * direction)
    moved = [cores[0], cores[1] @ step, torch.tensordot(step.inverse(), cores[2], dims=1)]
    assert torch.allclose(contract(moved, latent), contract(cores, latent), atol=1e-12)
    finite = torch.cat(
        [((new - old) / 1e-6).flatten() for new, old in zip(moved, cores, strict=True)]
    )
    predicted = gauge_null_vectors(cores)[:, 4:] @ direction.flatten()
    assert torch.allclose(finite, predicted, atol=1e-4)


@modest
@given(shape=shapes(latent=False, min_length=2), seed=seeds)
def test_nullity_of_plain_trains_is_the_formula(shape, seed):
    cores, latent = random_problem(shape, seed)
    found = nullity(cores, latent)
    assert predicted_nullity(shape).exact
    if found.decided:
        assert found.value == predicted_nullity(shape).value
        assert found.rank + found.value == found.parameters == shape.parameters


def test_nullity_gap_of_the_released_form():
    shape = TTShape((1, 2, 2, 1), (16, 8, 5, 4), (1, 2, 2, 1, 1))
    found = nullity(*random_problem(shape, 0))
    assert found.value == 21
    assert found.decided
    assert found.gap < 1e-10
    assert found.smallest > 1e-4


def test_a_bond_direction_that_almost_vanishes_leaves_the_rank_undecided():
    cores, latent = random_problem(TTShape.plain((4, 4), (1, 2, 1)), 0)
    assert nullity(cores, latent).decided
    cores[0][..., 1] *= 2e-14
    assert not nullity(cores, latent).decided


@modest
@given(shape=shapes(latent=False, min_length=2), seed=seeds, centre=st.integers(0, 3))
def test_conditioning_in_the_canonical_gauge(shape, seed, centre):
    cores, latent = random_problem(shape, seed)
    cores = [core * 2.0 for core in cores]
    latent = torch.ones(1, dtype=torch.float64)
    fixed = canonical_gauge(cores, centre % shape.length)
    assert torch.allclose(contract(fixed, latent), contract(cores, latent), atol=1e-10)
    bounds = tangent_bounds(cores)
    values = nonzero_singular_values(fixed, latent)
    assert float(values[-1]) >= bounds.smallest * (1 - 1e-8) - 1e-12
    assert float(values[0]) <= bounds.largest * (1 + 1e-12)


def test_the_lower_bound_is_attained():
    cores, _ = random_problem(TTShape.plain((8, 8, 8), (1, 3, 3, 1)), 5)
    cores = [core / 10 for core in cores]
    bounds = tangent_bounds(cores)
    assert bounds.smallest < 1
    values = nonzero_singular_values(canonical_gauge(cores), torch.ones(1).double())
    assert float(values[-1]) == pytest.approx(bounds.smallest, rel=1e-8)


def test_orthogonal_cores_do_not_condition_the_tangent_map():
    cores, _ = random_problem(TTShape.plain((8, 8, 8), (1, 3, 3, 1)), 6)
    one = torch.ones(1).double()
    raw, fixed = (nonzero_singular_values(train, one) for train in (cores, canonical_gauge(cores)))
    assert float(fixed[0] / fixed[-1]) > float(raw[0] / raw[-1])


@modest
@given(shape=shapes(), seed=seeds, factor=st.floats(0.2, 5))
def test_gauges_keep_the_weights(shape, seed, factor):
    cores, latent = random_problem(shape, seed)
    weights = contract(cores, latent)
    trains = [equal_norm_gauge(cores), canonical_gauge(cores)]
    trains += [scale_bond(cores, k, factor) for k in range(1, shape.length)]
    for train in trains:
        close = torch.allclose(contract(train, latent), weights, atol=1e-11 * (1 + weights.norm()))
        assert close


@modest
@given(shape=shapes(min_length=2), seed=seeds)
def test_equal_norms_are_the_least_parameter_norm(shape, seed):
    cores, _ = random_problem(shape, seed)
    balanced = equal_norm_gauge(cores)
    norms = [float(core.norm()) for core in balanced]
    assert norms == pytest.approx([norms[0]] * len(norms), rel=1e-12)
    squared = lambda train: sum(float(core.norm()) ** 2 for core in train)  # noqa: E731
    for factor in (0.7, 1.0, 1.3):
        assert squared(balanced) <= squared(scale_bond(balanced, 1, factor)) * (1 + 1e-12)
    assert squared(balanced) <= squared(cores) * (1 + 1e-12)


def test_scaling_a_bond_rescales_two_core_kernels():
    shape = TTShape((1, 2, 1), (3, 4, 3), (1, 2, 2, 1))
    cores, latent = random_problem(shape, 2)
    sizes = [math.prod(core) for core in shape.core_shapes]

    def kernels(train):
        return [block @ block.T for block in tangent_map(train, latent).split(sizes, dim=1)]

    before, after = kernels(cores), kernels(scale_bond(cores, 2, 3.0))
    for old, new, scale in zip(before, after, (1, 1 / 9, 9), strict=True):
        assert torch.allclose(new, scale * old, atol=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda cores: scale_bond(cores, 0, 2.0), "bonds 1 to 1"),
        (lambda cores: scale_bond(cores, 2, 2.0), "bond 2"),
        (lambda cores: scale_bond(cores, 1, 0.0), "not zero"),
        (lambda cores: scale_bond(cores, 1, float("nan")), "nan"),
        (lambda cores: equal_norm_gauge([cores[0], 0 * cores[1]]), "cannot be given one norm"),
        (lambda cores: canonical_gauge(cores, 7), "centre 7"),
        (lambda cores: tangent_bounds([torch.ones(1, 2, 2, 1)]), r"in-dims \[2\]"),
        (lambda cores: nullity([0 * core for core in cores], torch.ones(1)), "zero"),
        (lambda cores: gauge_null_vectors([torch.ones(1, 2, 1)]), "shape"),
    ],
)
def test_errors_name_the_value(call, words):
    cores = [torch.ones(1, 1, 2, 2), torch.ones(2, 1, 2, 1)]
    with pytest.raises(InputError, match=words):
        call(cores)
