"""The kernel at the start against training that is linear in its parameters, and its limit."""

import pytest
import torch

from ntklab.adapters import build_adapter
from ntklab.dynamics import KernelAtStart, at_start, certificate, stability_limit
from ntklab.training import Data, TrainConfig, train


@pytest.fixture
def probe():
    """A linear model: linearized training is training."""
    generator = torch.Generator().manual_seed(0)
    return build_adapter("linear-probe", 4, 3, generator=generator, dtype=torch.float64)


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    return Data(x, torch.randint(3, (6,), generator=generator))


@pytest.mark.parametrize("loss", ["squared", "cross-entropy"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_linear_model_is_predicted_exactly(probe, data, loss, reduction):
    start = KernelAtStart.of(probe, data.inputs, data.targets, loss=loss)
    lr = 0.3 * start.stability_limit(reduction)
    config = TrainConfig(steps=7, lr=lr, loss=loss, reduction=reduction, optimizer="gd")
    run = train(probe, data, config)
    steps = [row["step"] for row in run.rows]
    predicted = start.trajectory(steps, lr=lr, reduction=reduction)
    measured = torch.tensor([row["train_loss"] for row in run.rows], dtype=torch.float64)
    scale = 1 if reduction == "mean" else 1 / len(data.inputs)
    torch.testing.assert_close(predicted.loss * scale, measured * scale, rtol=1e-6, atol=1e-9)
    columns = certificate(start, predicted, run.rows, optimizer="gd")
    assert columns["lazy_index"] == pytest.approx(float(predicted.displacement[-1]) / start.norm)


def test_descent_diverges_above_the_limit_alone(probe, data):
    start = KernelAtStart.of(probe, data.inputs, data.targets)
    modes = start.linearized()
    limit = start.stability_limit()
    below, above = (modes.descent([0, 4000], limit * share).loss for share in (0.99, 1.01))
    assert below[1] < below[0]
    assert above[1] > above[0]


def test_the_limit_of_a_sum_is_that_of_a_mean_over_the_samples():
    mean, summed = (stability_limit(3.0, 12, reduction=word) for word in ("mean", "sum"))
    assert mean == pytest.approx(12 * summed)


def test_a_kernel_that_is_too_large_is_not_taken_apart(probe, data, monkeypatch):
    monkeypatch.setattr(at_start, "MOST_ROWS", 17)
    assert KernelAtStart.of(probe, data.inputs, data.targets) is None
    columns = certificate(None, None, [{"step": 0}], optimizer="gd")
    assert columns["ntk_regime"] is None
