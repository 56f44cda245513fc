"""The truth that contenders are compared with, and what a difference to it reads."""

import pytest
import torch

from ntklab import jacobian
from ntklab.bench.agreement import Truth
from ntklab.bench.problem import Problem

PROBLEM = Problem("tensorguide", 9, 8, 2, {"width": 4})


def kernel(dtype):
    return jacobian(
        PROBLEM.model(dtype), PROBLEM.features(dtype), engine="loop", accumulate=dtype
    ).gram()


def test_the_truth_is_of_samples_spread_over_all():
    truth = Truth(PROBLEM, torch.float64, count=3)
    assert truth.samples.tolist() == [0, 4, 8]
    assert truth.rows.tolist() == [0, 1, 8, 9, 16, 17]
    assert truth.kernel.shape == (6, 6)
    assert truth.error(kernel(torch.float64)) < 1e-13


def test_more_samples_than_there_are_are_all_of_them():
    assert Truth(PROBLEM.with_samples(2), torch.float64, count=4).samples.tolist() == [0, 1]


@pytest.mark.parametrize("shift", [1e-3, 1e-6])
def test_an_error_is_read_in_parts_of_the_largest_entry(shift):
    truth = Truth(PROBLEM, torch.float64)
    wrong = kernel(torch.float64)
    wrong[0, 0] += shift * truth.kernel.abs().max()
    assert truth.error(wrong) == pytest.approx(shift, rel=1e-6)


def test_an_entry_of_another_sample_is_not_looked_at():
    truth = Truth(PROBLEM, torch.float64, count=3)
    wrong = kernel(torch.float64)
    wrong[2, 2] = 1e9  # sample 1
    assert truth.error(wrong) < 1e-13


def test_single_precision_shows_its_rounding_and_no_more():
    assert 1e-9 < Truth(PROBLEM, torch.float32).error(kernel(torch.float32)) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_inputs_are_rounded_to_the_dtype_of_the_contenders_first(dtype):
    """Then the error is that of the arithmetic alone: a kernel computed in double has none."""
    truth = Truth(PROBLEM, dtype)
    model, x = PROBLEM.model(dtype).double(), PROBLEM.features(dtype).double()
    assert truth.error(jacobian(model, x, engine="loop").gram()) < 1e-13


def test_a_kernel_of_other_weights_is_far_away():
    truth = Truth(PROBLEM, torch.float64)
    model, x = PROBLEM.model(torch.float64), PROBLEM.features(torch.float64)
    with torch.no_grad():
        next(model.parameters()).mul_(2.0)
    assert truth.error(jacobian(model, x, engine="loop").gram()) > 0.1


def test_one_sample_is_its_own_spread():
    truth = Truth(PROBLEM.with_samples(1), torch.float64)
    assert truth.samples.tolist() == [0]
    assert truth.kernel.shape == (2, 2)
    torch.testing.assert_close(truth.kernel, truth.kernel.T, rtol=0, atol=1e-14)
