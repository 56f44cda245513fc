import torch

from ntklab import TensorGuide, TTShape
from ntklab.claims import Effort, Verdict
from paper_checks.tensorguide.eq26 import CHECK, collect, row_of


def one(shape, N=2, seed=0):
    """A linear head, d = 4, C = 2, M = 2: 12 weights from the given train."""
    generator = torch.Generator().manual_seed(seed)
    head = TensorGuide(
        *(4, 2, 2),
        shape=shape,
        activation="identity",
        generator=generator,
        dtype=torch.float64,
    )
    return row_of(head, torch.randn(N, 4, generator=generator, dtype=torch.float64), "", seed)


FREE = TTShape.plain((12,), (1, 1))  # one core: every weight is a parameter
SHORT = TTShape.plain((3, 4), (1, 1, 1))  # 6 weights' worth of directions in 12


def test_as_measured_it_is_true_and_empty():
    measured = CHECK.measure(Effort())
    found = CHECK.judge(measured)
    assert found.verdict is Verdict.VACUOUS
    assert found.mended
    assert measured.values["kernels_positive"] == measured.values["trials"]
    CHECK.draw(measured).savefig("/dev/null", format="svg")


def test_with_as_many_directions_as_weights_it_says_something():
    measured = collect([one(FREE, seed=seed) for seed in range(3)])
    assert CHECK.judge(measured).verdict is Verdict.OK


def test_both_kinds_of_train_make_it_a_matter_of_rank():
    assert CHECK.judge(collect([one(FREE), one(SHORT)])).verdict is Verdict.REGIME


def test_more_outputs_than_directions_leave_nothing_to_bound():
    found = CHECK.judge(collect([one(SHORT, N=6)]))
    assert found.verdict is Verdict.VACUOUS
    assert "singular themselves" in found.because


def test_a_violation_is_found_out():
    row = one(FREE) | {"product": 10.0, "lambda_min": 1.0, "holds": False}
    assert CHECK.judge(collect([row])).verdict is Verdict.FALSE


def test_a_repair_that_fails_is_not_offered():
    measured = collect([one(SHORT) | {"lambda_min": 1.0, "lower": 2.0, "repair_holds": False}])
    found = CHECK.judge(measured)
    assert found.verdict is Verdict.VACUOUS
    assert not found.mended
    assert not found.formula
