"""Early stopping: which parameters are kept, when it ends, and a run in several sittings."""

import pytest
import torch
from torch import nn

from ntklab.errors import InputError
from ntklab.training import Data, Stopping, TrainConfig, finetune


def data(noise=0.0):
    x = torch.linspace(-1, 1, 12, dtype=torch.float64)[:, None]
    y = (x[:, 0] > 0).long()
    other = torch.where(torch.rand(12) < noise, 1 - y, y)
    return Data(x, y, {"valid": (x + 0.01, other), "test": (x - 0.01, y)})


def model():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 2)).double()


def config(**changes):
    settings = {"optimizer": "adam", "lr": 0.05, "steps": 60, "batch": 5}
    return TrainConfig(**{**settings, **changes})


def test_the_parameters_of_the_least_loss_are_kept():
    one, samples = model(), data(noise=0.4)
    run = finetune(one, samples, config(), stopping=Stopping(every=2, patience=None))
    losses = [row["valid_loss"] for row in run.rows]
    assert run.best["valid_loss"] == min(losses) < losses[-1]
    assert run.final["valid_loss"] == pytest.approx(min(losses), rel=1e-12)
    x, y = samples.tests["valid"]
    assert float(nn.functional.cross_entropy(one(x), y)) == pytest.approx(min(losses), rel=1e-12)
    assert run.steps == 60
    assert not run.stopped


def test_patience_ends_a_run():
    run = finetune(model(), data(noise=0.4), config(), stopping=Stopping(every=2, patience=3))
    assert run.stopped
    assert 6 <= run.steps - run.best_step < 8


@pytest.mark.parametrize("looks_per_decade", [1, 20])
def test_looks_at_the_test_samples_cost_no_patience(looks_per_decade):
    """A run whose least loss came early was ended within an epoch by such looks."""
    runs = [
        finetune(
            model(), data(noise=0.4), config(lr=rate), stopping=Stopping(every=8, patience=2),
            looks_per_decade=looks_per_decade,
        )
        for rate in (0.05, 0.3, 1.0)
    ]  # fmt: skip
    assert any(run.stopped for run in runs)
    for run in runs:
        assert not run.stopped or run.steps - run.best_step >= 16


def test_test_samples_are_judged_rarely():
    run = finetune(model(), data(), config(), stopping=Stopping(every=2, patience=None))
    judged = [row["step"] for row in run.rows if "test_loss" in row]
    assert judged == [0, 1, 3, 10, 32, 60]
    assert {"train_loss", "valid_loss", "test_loss", "test_accuracy"} <= run.final.keys()


class StopError(Exception):
    pass


def test_a_run_in_three_sittings_has_the_same_bits(tmp_path):
    stopping = Stopping(every=3, patience=None)
    whole_model, parts_model = model(), model()
    whole = finetune(whole_model, data(), config(), stopping=stopping)
    for end in (17, 40, None):

        def progress(done, total, end=end):
            if end is not None and done >= end:
                raise StopError

        options = {"stopping": stopping, "folder": tmp_path, "checkpoint_seconds": 0.0}
        parts_model = model()
        try:
            parts = finetune(parts_model, data(), config(), progress=progress, **options)
        except StopError:
            assert end is not None
    assert parts.rows == whole.rows
    assert parts.final == whole.final
    for one, other in zip(whole_model.parameters(), parts_model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_another_run_is_refused(tmp_path):
    options = {"stopping": Stopping(every=3), "folder": tmp_path}
    finetune(model(), data(), config(steps=4), identity="films", **options)
    with pytest.raises(InputError, match="data"):
        finetune(model(), data(), config(steps=4), identity="books", **options)
    with pytest.raises(InputError, match="lr"):
        finetune(model(), data(), config(steps=4, lr=0.1), identity="films", **options)


def test_a_frozen_model_is_refused():
    frozen = model().requires_grad_(False)
    with pytest.raises(InputError, match="no trainable parameters"):
        finetune(frozen, data(), config(), stopping=Stopping())
