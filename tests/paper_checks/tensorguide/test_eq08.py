from dataclasses import replace

import pytest

from ntklab.claims import Verdict
from paper_checks.tensorguide.eq08 import (
    CHECK,
    cut,
    random_head,
    summary,
    trained_head,
    trained_on_dots,
)

SIZES = (16, 2)


def world(scales, width=16, ranks=(1, 2, 2, 1, 1)):
    rows = []
    for seed in range(2):
        x, (first, second) = random_head(width, seed, SIZES, samples=20)
        rows += [
            cut("random", width, seed, (a * first, a * second), x, ranks=ranks) for a in scales
        ]
    return summary(rows)


def test_heads_of_one_size_share_a_constant():
    measured = world([1.0])
    assert measured.values["holds"]
    assert CHECK.judge(measured).verdict is Verdict.OK


def test_heads_of_two_sizes_need_two_constants():
    measured = world([1.0, 10.0])
    assert measured.values["spread"] >= 10
    assert CHECK.judge(measured).verdict is Verdict.MEND


def test_the_needed_constant_grows_exactly_with_the_weights():
    x, (first, second) = random_head(16, 0, SIZES, samples=20)
    small = cut("random", 16, 0, (first, second), x)
    large = cut("random", 16, 0, (10 * first, 10 * second), x)
    assert large["needed"] == pytest.approx(10 * small["needed"], rel=1e-6)
    assert large["relative_error"] == pytest.approx(small["relative_error"])


def test_what_a_train_holds_exactly_needs_no_constant():
    measured = world([1.0, 10.0], ranks=(1, 64, 64, 64, 1))
    assert measured.values["largest_error"] < 1e-12
    assert CHECK.judge(measured).verdict is Verdict.OK


@pytest.mark.parametrize("name", ["holds", "chain_holds"])
def test_a_broken_bound_is_found_out(name):
    measured = world([1.0, 10.0])
    broken = replace(measured, values={**measured.values, name: False})
    assert CHECK.judge(broken).verdict is Verdict.FALSE


def test_a_trained_head_is_cut_with_its_accuracies():
    data, head = trained_head(16, 0, steps=60, features=4, samples=64)
    row = cut("trained", 16, 0, head, data.inputs, data.targets)
    assert row["holds"]
    assert row["accuracy_before"] > 0.8
    measured = summary([row, {**row, "needed": 10 * row["needed"]}])
    assert "training accuracy" in CHECK.judge(measured).because


def test_heads_trained_on_the_paper_s_task_are_cut_like_the_others():
    data, head = trained_on_dots(16, 0, steps=20, samples=64)
    row = cut("trained on dots", 16, 0, head, data.inputs, data.targets)
    assert row["holds"]
    assert data.inputs.shape == (64, 512)
    assert 0 <= row["accuracy_after"] <= 1
