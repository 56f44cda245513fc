import re
from math import prod

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.tensor_train.contraction import contract
from ntklab.tensor_train.factoring import count_ordered_factorings, ordered_factorings
from ntklab.tensor_train.planner import (
    Plan,
    candidates,
    fitting_error,
    plan,
    plan_factor,
    plan_matrix,
)
from ntklab.tensor_train.shape import TTShape

modest = settings(max_examples=40, deadline=None)
features = st.integers(1, 2000)
classes = st.integers(1, 60)
widths = st.integers(1, 4096)
lengths = st.integers(1, 6)


@pytest.mark.parametrize(
    ("d", "c", "width", "out_dims", "parameters"),
    [
        (512, 2, 1024, (16, 8, 257, 16), 1140),
        (512, 2, 2048, (16, 8, 257, 32), 1156),
        (512, 2, 4096, (16, 16, 257, 32), 1220),
        (768, 50257, 1, (5, 5, 13, 157), 259),
        (768, 50257, 4, (10, 10, 13, 157), 309),
    ],
)
def test_the_rule_gives_the_shapes_in_print(d, c, width, out_dims, parameters):
    shape = plan(d, c, width).shape
    assert shape == TTShape((1, 2, 2, 1), out_dims, (1, 2, 2, 1, 1))
    assert shape.parameters == parameters


@modest
@given(d=features, c=classes, width=widths, length=lengths)
def test_plans_fit_and_have_no_idle_ranks(d, c, width, length):
    found = plan(d, c, width, length=length)
    assert isinstance(found, Plan)
    assert found.shape.out_size == width * (d + c)
    assert found.shape.length == length
    assert not any("exceeds" in warning for warning in found.warnings)


@modest
@given(d=features, c=classes, width=widths, length=lengths, extra=st.integers(0, 3000))
def test_a_budget_is_kept_and_used(d, c, width, length, extra):
    least = plan(d, c, width, length=length, ranks=1).shape
    shape = plan(d, c, width, length=length, budget=least.parameters + extra).shape
    assert shape.parameters <= least.parameters + extra
    assert shape.out_dims == least.out_dims


def test_a_budget_gives_the_largest_ranks():
    shape = plan_factor(4**6, length=3, budget=2000).shape
    # Modes 16, 16, 16 at equal ranks r cost 16 r² + 32 r, within 2000 up to r = 10.
    assert shape.ranks == (1, 10, 10, 1)
    assert shape.parameters == 1920
    for ranks in ((1, 11, 10, 1), (1, 10, 11, 1)):
        more = TTShape(shape.in_dims, shape.out_dims, ranks)
        fits = more.parameters <= 2000
        assert not fits


def test_a_rich_budget_stops_at_what_the_unfoldings_hold():
    assert plan_factor(4**3, budget=10**9).shape.ranks == (1, 4, 4, 1)


def test_warnings_of_the_released_head():
    collapse, prime = plan(512, 2, 1024).warnings
    assert "acts as 64" in collapse
    assert "width 2048" in collapse
    assert "257" in prime
    assert "every width" in prime


@pytest.mark.parametrize("ranks", [(1, 2, 2, 2, 1), 2, 3])
def test_a_last_rank_above_one_lifts_the_collapse(ranks):
    assert not any("acts as" in warning for warning in plan(512, 2, 1024, ranks=ranks).warnings)


def test_a_prime_width_is_named_with_one_that_splits():
    found = plan(510, 2, 1021)
    assert any("prime 1021" in w and "width 1020 avoids it" in w for w in found.warnings)
    assert not any("prime" in w for w in plan(510, 2, 1020).warnings)


def test_ranks_asked_for_are_kept_but_warned_of():
    found = plan(512, 2, 1024, ranks=500)
    assert found.shape.ranks == (1, 500, 500, 500, 1)
    assert sum("exceeds" in warning for warning in found.warnings) == 3


def test_collapsed_widths_span_equally_many_functions():
    """Theory P2: the width enters through a C × C matrix only, so it adds no function.

    Here u has modes 16 and 8 at rank 2: two rows of U (30 × 4) a slice, and V in the last slice.
    So ΔW is a sum over a = 1, 2 of p_a ⊗ (Q_a V S), a train of modes 15 and 4 and rank 2, of
    dimension 15·2 + 2·4 − 2² = 34, below the general bound dim TT(u) + C² − 1. With modes 32
    and 4 a slice is one row of U, and ΔW is free: dC = 60.
    """
    assert [_function_dimension(4 * block, block, (16, 8)) for block in (4, 8, 16)] == [34] * 3
    assert [_function_dimension(4 * block, block, (32, 4)) for block in (4, 8, 16)] == [60] * 3
    assert TTShape.plain((16, 8), (1, 2, 1)).rank_bound + 2**2 - 1 >= 34
    shape = TTShape.plain((16, 8, 8), (1, 2, 1, 1))
    assert any(
        "acts as 4" in w for w in plan(30, 2, 32, ranks=shape.ranks, **_dims(shape)).warnings
    )


def _dims(shape):
    return {"in_dims": shape.in_dims, "out_dims": shape.out_dims}


def _function_dimension(width, block, outer, d=30, c=2):
    """The dimension of the set of matrices W1 W2, as the rank of its Jacobian at one point."""
    shape = TTShape.plain((*outer, block), (1, 2, 1, 1))
    generator = torch.Generator().manual_seed(0)
    draw = lambda core: torch.randn(core, dtype=torch.float64, generator=generator)  # noqa: E731
    cores = tuple(draw(core) for core in shape.core_shapes)

    def delta(*train):
        weights = contract(train, torch.ones(1, dtype=torch.float64))
        first, second = weights[: d * width], weights[d * width :]
        return (first.reshape(d, width) @ second.reshape(width, c)).reshape(-1)

    blocks = torch.autograd.functional.jacobian(delta, cores)
    jacobian = torch.cat([block.reshape(d * c, -1) for block in blocks], dim=1)
    values = torch.linalg.svdvals(jacobian)
    rank = int((values > 1e-10 * values[0]).sum())
    assert rank == d * c or values[rank] < 1e-4 * values[rank - 1]
    return rank


@settings(max_examples=25, deadline=None)
@given(d=st.integers(1, 12), c=st.integers(1, 3), width=st.integers(1, 16), seed=st.integers(0, 99))
def test_measured_rank_is_within_the_effective_width(d, c, width, seed):
    shape = plan(d, c, width).shape
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *size: torch.randn(size, dtype=torch.float64, generator=generator)  # noqa: E731
    weights = contract([draw(*core) for core in shape.core_shapes], draw(shape.in_size))
    rank = int(torch.linalg.matrix_rank(weights[: d * width].reshape(d, width)))
    assert rank <= shape.effective_width(width)


@modest
@given(size=st.integers(1, 20_000), length=lengths)
def test_plan_factor(size, length):
    shape = plan_factor(size, length=length).shape
    assert shape.out_size == size
    assert shape.length == length
    assert set(shape.in_dims) == {1}


@modest
@given(d=features, c=classes, length=st.integers(2, 6))
def test_plan_matrix_has_a_bond_on_the_cut(d, c, length):
    shape = plan_matrix(d, c, length=length).shape
    assert shape.out_size == d * c
    assert d in [prod(shape.out_dims[:k]) for k in range(1, length)]


def test_plan_matrix_at_gpt2_size():
    found = plan_matrix(768, 50257)
    assert found.shape.out_dims == (32, 24, 29, 1733)
    assert found.shape.ranks == (1, 4, 4, 4, 1)
    assert any("prime 1733" in w and "width" not in w for w in found.warnings)


def test_candidates_against_all_factorings():
    ranks, ins, width = (1, 2, 1, 1), (1, 2, 1), 16
    found = candidates(14, 2, width, ranks=ranks, in_dims=ins, limit=10**6)
    every = [TTShape(ins, outs, ranks) for outs in ordered_factorings(256, 3) if min(outs) > 1]
    assert {s.out_dims for s in found} <= {s.out_dims for s in every}
    merits = [(-min(s.effective_width(width), 14, width), s.parameters) for s in found]
    assert merits == sorted(merits)
    left_out = {s.out_dims for s in every} - {s.out_dims for s in found}
    for outs in left_out:
        warnings = plan(14, 2, width, ranks=ranks, in_dims=ins, out_dims=outs).warnings
        assert any("exceeds" in warning for warning in warnings)


def test_candidates_limit_and_size_guard():
    assert len(candidates(512, 2, 1024, limit=3)) == 3
    assert count_ordered_factorings(514 * 2**20, 8) > 200_000
    with pytest.raises(InputError, match="choose fewer cores"):
        candidates(512, 2, 2**20, ranks=(1, *[2] * 7, 1))


def test_fitting_error_proposes_a_shape_that_fits():
    shape = TTShape.plain((16, 8, 250, 16), (1, 2, 2, 2, 1))
    message = str(fitting_error(shape, 514 * 1024))
    assert "512000" in message
    assert "526336" in message
    proposal = [int(n) for n in re.findall(r"\d+", message.partition("needed")[2])]
    assert prod(proposal) == 526336


@modest
@given(
    d=features, c=classes, width=widths, outs=st.lists(st.integers(1, 50), min_size=1, max_size=4)
)
def test_wrong_out_dims_name_both_numbers(d, c, width, outs):
    needed = width * (d + c)
    assume(prod(outs) != needed)
    with pytest.raises(InputError, match=f"multiply to {prod(outs)}, but {needed} weights"):
        plan(d, c, width, out_dims=outs)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plan(0, 2, 4), "in-features 0"),
        (lambda: plan(5, 2, 0), "width 0"),
        (lambda: plan(5, 2.5, 4), "out-features 2.5"),
        (lambda: plan(5, 2, 4, length=0), "length 0"),
        (lambda: plan(5, 2, 4, budget=1), "below"),
        (lambda: plan(5, 2, 4, budget=100, ranks=2), "exclude each other"),
        (lambda: plan(5, 2, 4, length=3, ranks=(1, 2, 1)), r"\[2, 3\] cores"),
        (lambda: plan(5, 2, 4, in_dims=(1, 1), out_dims=(4, 7, 1)), r"\[2, 3\] cores"),
        (lambda: plan(5, 2, 4, out_dims=()), "length 0"),
        (lambda: plan(5, 2, 4, ranks=(2, 2, 1)), "begin and end with 1"),
        (lambda: plan_factor(0), "size 0"),
        (lambda: plan_factor(12, out_dims=(5, 2)), "12 weights are needed"),
        (lambda: plan_matrix(4, 4, length=1), "length 1"),
        (lambda: plan_matrix(4, 0), "out-features 0"),
        (lambda: candidates(4, 2, -1), "width -1"),
    ],
)
def test_errors_name_the_value(call, words):
    with pytest.raises(InputError, match=words):
        call()
