import math

import pytest
import torch

from ntklab.claims import Measured, Verdict
from ntklab.tasks.barron import BarronTarget
from paper_checks.tensorguide.eq07 import CHECK, errors, even_target, summary

WIDTHS = (16, 64, 256)


def world(target_of, seeds=2, **how):
    return summary(
        [row for seed in range(seeds) for row in errors(target_of(seed), WIDTHS, seed, **how)]
    )


@pytest.fixture(scope="module")
def even():
    return world(even_target)


def nearly_linear(seed):
    """sin(ω·x) with a small ω: its even part is zero and its cubic part is negligible."""
    frequency = torch.zeros(1, 4, dtype=torch.float64)
    frequency[0, seed] = 0.02
    phase = torch.full((1,), -math.pi / 2, dtype=torch.float64)
    return BarronTarget(torch.ones(1, dtype=torch.float64), frequency, phase)


def test_even_targets_need_a_nonlinearity(even):
    finding = CHECK.judge(even)
    assert finding.verdict is Verdict.MEND
    assert even.values["linear_error"] > 0.9
    assert -0.7 < even.values["proof_slope"] < -0.3


def test_on_a_linear_target_the_claim_stands_as_it_is():
    assert CHECK.judge(world(nearly_linear)).verdict is Verdict.OK


def test_a_width_that_adds_no_units_is_found_out():
    collapsed = world(even_target, units_of=lambda width: 8)
    assert CHECK.judge(collapsed).verdict is Verdict.FALSE


def test_a_bound_that_fails_is_found_out(even):
    broken = Measured({**even.values, "bound_holds": False}, even.rows)
    assert CHECK.judge(broken).verdict is Verdict.FALSE


def test_even_target_is_even_and_of_mean_zero():
    target = even_target(3)
    x = torch.randn(200_000, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(target(x), target(-x))
    assert abs(float(target(x).mean())) < 0.01
