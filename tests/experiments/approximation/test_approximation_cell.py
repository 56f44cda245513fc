import math

import pytest
import torch

from ntklab.errors import InputError
from ntklab.experiments.approximation import (
    APPROXIMATION,
    ApproximationConfig,
    run_approximation_cell,
)
from ntklab.experiments.approximation.cell import check_shapes
from ntklab.experiments.approximation.config import TT_RANKS, approximation_cells
from ntklab.experiments.approximation.terms import problem_of, truncation_columns
from ntklab.experiments.run import record_of
from ntklab.records import Cell
from ntklab.tasks.synthetic import synthetic_problem
from ntklab.tensor_train import plan
from ntklab.training import DenseHead

BARRON = {"target": "barron", "samples": 200, "steps": 60, "batch": 64, "features": 3}
HEAD = {"target": "dense-head", "task": "synthetic", "samples": 64, "steps": 80, "batch": 32}
FULL = (1, 64, 64, 64, 1)  # more than any unfolding holds


def config(**changes):
    return ApproximationConfig.of(**{"network": "dense", "width": 16, **BARRON, **changes})


@pytest.fixture(scope="module")
def dense():
    return run_approximation_cell(config(tt_ranks=(*TT_RANKS, FULL)))


def test_the_barron_constant_is_the_second_moment_of_the_target(dense):
    made = synthetic_problem(features=3, samples=200, teacher="barron")
    moment = sum(
        abs(float(a)) * float(w @ w)
        for a, w in zip(made.barron.amplitudes, made.barron.frequencies, strict=True)
    )
    radius = max(float(x.norm()) for x in made.task.test.features)
    wanted = 2 * radius**2 * moment / math.sqrt(16)
    assert dense.row["barron_bound"] == pytest.approx(wanted, rel=1e-5)
    assert dense.row["barron_holds"]


def test_a_linear_head_has_no_barron_bound_and_says_why():
    row = run_approximation_cell(config(network="linear")).row
    assert row["barron_bound"] is None
    assert "ReLU" in row["barron_reason"]
    assert row["barron_vacuous"]


def test_a_trained_linear_head_cannot_beat_least_squares_and_comes_near():
    one = config(network="linear", steps=400)
    problem = problem_of(one)
    x, y = (part.double() for part in problem.train)
    best = (x @ torch.linalg.lstsq(x, y).solution - y).square().mean().sqrt()
    error = run_approximation_cell(one).row["train_error"]
    assert float(best) - 1e-6 <= error <= 1.02 * float(best)


def test_truncation_lies_between_oseledets_bounds_and_under_eq_8(dense):
    assert len(dense.parts) == 5
    for part in dense.parts:
        low, error = part["relative_error_lower"], part["relative_error"]
        assert low - 1e-9 <= error <= part["relative_error_upper"] + 1e-9
        assert part["oseledets_holds"]
        assert part["function_bound_holds"]
        assert part["function_error"] <= part["function_bound"] + 1e-9


def test_ranks_that_hold_everything_lose_nothing(dense):
    full = dense.parts[-1]
    assert full["relative_error"] < 1e-12
    assert full["function_error"] < 1e-9
    assert full["test_error"] == pytest.approx(dense.row["test_error"], rel=1e-4)  # float32 trained


def test_the_sum_is_both_terms(dense):
    for part in dense.parts:
        together = dense.row["barron_bound"] + part["function_bound"]
        assert part["sum_bound"] == pytest.approx(together, rel=1e-6)


def test_truncation_by_loops_over_the_unfoldings():
    """The tails against plain SVDs of the balanced weights, reshaped by hand."""
    one = config()
    problem = problem_of(one)
    head = DenseHead(4, 1, 16, generator=torch.Generator().manual_seed(0))
    row = truncation_columns(one, problem, head, TT_RANKS[0])
    first, second = head.balanced()
    w = torch.cat([first.flatten(), second.flatten()])
    shape = plan(4, 1, 16, ranks=TT_RANKS[0]).shape
    tails = []
    for k in range(1, 4):
        values = torch.linalg.svdvals(w.reshape(math.prod(shape.out_dims[:k]), -1))
        tails.append(float(values[shape.bond_ranks[k] :].square().sum()))
    norm = float(w.norm())
    assert row["relative_error_lower"] == pytest.approx(math.sqrt(max(tails)) / norm, rel=1e-9)
    assert row["relative_error_upper"] == pytest.approx(math.sqrt(sum(tails)) / norm, rel=1e-9)


def test_a_task_gives_accuracies_before_and_after():
    cell = run_approximation_cell(ApproximationConfig.of(network="dense", width=16, **HEAD,
                                                      tt_ranks=(TT_RANKS[0], FULL)))  # fmt: skip
    assert cell.row["train_accuracy"] > 0.7
    cut, whole = cell.parts
    assert whole["accuracy_before"] == whole["accuracy_after"] == cell.row["test_accuracy"]
    assert whole["risk_gap"] == pytest.approx(0.0, abs=1e-9)
    assert cut["risk_gap"] <= cut["risk_gap_bound"]
    assert 0 <= cut["accuracy_after"] <= 1


def test_an_adapter_trains_below_its_start_at_its_own_rate():
    cells = approximation_cells(config(steps=200), (16,), TT_RANKS[3:], (0,))
    (adapter,) = [one for one in cells if one.network == "adapter"]
    assert adapter.rate == 0.03
    row = run_approximation_cell(adapter).row
    assert row["reason"] is None
    assert row["train_error"] < row["target_rms"]


def test_cells_are_one_a_network_and_the_widest_come_first():
    cells = approximation_cells(config(), (4, 16), (*TT_RANKS, TT_RANKS[0]), (0, 1))
    assert len(cells) == len(set(cells)) == 2 * 2 * 6
    assert [one.width for one in cells[:12]] == [16] * 12


def test_every_truncation_stands_beside_the_adapter_of_its_ranks():
    configs = approximation_cells(config(), (16,), TT_RANKS[:2], (0,))
    cells = []
    for number, one in enumerate(configs):
        row = {"kind": one.network, "target": "barron", "width": 16, "seed": 0, "tt_ranks": None}
        parts = ()
        if one.network == "adapter":
            row |= {"tt_ranks": ",".join(map(str, one.tt_ranks[0])), "test_error": float(number)}
        if one.network == "dense":
            parts = tuple(
                row | {"kind": "truncation", "tt_ranks": ",".join(map(str, ranks))}
                for ranks in one.tt_ranks
            )
        cells.append(Cell(row, {}, {}, parts))
    record = record_of(APPROXIMATION, configs, cells, {}, {})
    beside = [row["adapter_error"] for row in record.results if row["kind"] == "truncation"]
    assert beside == [2.0, 3.0]


def test_equal_configurations_give_equal_rows(dense):
    again = run_approximation_cell(config(tt_ranks=(*TT_RANKS, FULL)))
    assert again.row == dense.row
    assert again.parts == dense.parts


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "baron"}, "did you mean 'barron'"),
        ({"network": "dens"}, "did you mean 'dense'"),
        ({"width": 0}, "width = 0"),
        ({"steps": 0}, "steps = 0"),
    ],
)
def test_what_cannot_work_is_refused(changes, words):
    with pytest.raises(InputError, match=words):
        config(**changes)


def test_ranks_are_planned_before_anything_is_trained():
    with pytest.raises(InputError, match="ranks"):
        check_shapes([config(tt_ranks=((2, 2, 1),))])
