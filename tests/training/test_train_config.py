import math
from itertools import pairwise

import pytest
import torch

from ntklab.errors import InputError
from ntklab.training import TrainConfig, learning_rate, log_steps


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "exactly one"),
        ({"steps": 3, "epochs": 2}, "exactly one"),
        ({"steps": 3, "optimizer": "adm"}, "did you mean 'adam'"),
        ({"steps": 3, "loss": "mse"}, "unknown loss"),
        ({"steps": 3, "optimizer": "gd", "batch": 4}, "leave batch out"),
        ({"steps": 3, "lr": math.nan}, "positive finite"),
        ({"steps": 0}, "at least 1"),
        ({"steps": 3, "latent": "redrawn", "fresh_latents": 0}, "at least one"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        TrainConfig(**changes)


def test_schedules_are_torchs():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.7)
    step_lr = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.3)
    config = TrainConfig(lr=0.7, epochs=7, batch=4, schedule="step", decay=0.3, decay_epochs=2)
    for epoch in range(7):
        for batch in range(3):  # ten samples in batches of four
            expected = optimizer.param_groups[0]["lr"]
            assert learning_rate(config, 3 * epoch + batch, 10) == pytest.approx(expected)
        optimizer.step()
        step_lr.step()

    optimizer = torch.optim.SGD([parameter], lr=0.7)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    config = TrainConfig(lr=0.7, steps=20, schedule="cosine")
    for step in range(20):
        rate = learning_rate(config, step, 10)
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        cosine.step()


@pytest.mark.parametrize("total", [1, 2, 7, 1000, 12345])
def test_logs_hold_both_ends_and_are_geometric(total):
    steps = log_steps(total, 8)
    assert steps[0] == 0
    assert steps[-1] == total
    assert steps == sorted(set(steps))
    ratios = [b / a for a, b in pairwise(steps[1:]) if a >= 10]
    assert all(ratio < 1.45 for ratio in ratios)  # 10^(1/8) = 1.33, and rounding


def test_a_partial_last_batch_is_a_step():
    assert TrainConfig(epochs=2, batch=4).total_steps(10) == 6
