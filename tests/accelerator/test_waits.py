"""Steps of training do not wait for the device: only what is logged is read by the host."""

from dataclasses import replace

import pytest
import torch

from ntklab.training import Data, TrainConfig, log_steps, train, train_vocabulary_head
from ntklab.training.config import Stopping
from ntklab.training.fine_tuning import finetune
from tests.accelerator.kernels import double, head
from tests.accelerator.pretended import module, pretended
from tests.training.test_vocabulary import adapter_for, next_token


def waits(run) -> int:
    before = module().waits
    run()
    return module().waits - before


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("batch", [None, 5])
def test_twice_the_steps_wait_no_more(optimizer, batch):
    x, labels = double(12, 8), torch.arange(12) % 2
    device, counts = pretended(), {}
    for steps in (20, 40):
        config = TrainConfig(
            optimizer=optimizer, lr=1e-3, steps=steps, batch=batch, logs_per_decade=1
        )
        assert len(log_steps(steps, 1)) == len(log_steps(20, 1))
        model = head("tensorguide").to(device)
        counts[steps] = waits(lambda: train(model, Data(x, labels), config))  # noqa: B023
    assert counts[40] == counts[20] > 0


def test_a_loss_that_is_read_at_each_step_is_noticed(monkeypatch):
    """The count sees what the test above asserts to be absent."""
    from ntklab.training.divergence import Watch

    monkeypatch.setattr(Watch, "on", classmethod(lambda cls, device, initial: cls(initial, 1)))
    with pytest.raises(AssertionError):
        test_twice_the_steps_wait_no_more("sgd", 5)


def test_nor_does_fine_tuning():
    x, labels = double(12, 8), torch.arange(12) % 2
    device, counts = pretended(), {}
    for steps in (20, 40):
        config = TrainConfig(optimizer="adam", lr=1e-3, steps=steps, batch=5)
        data, model = Data(x, labels, {"valid": (x, labels)}), head("lora").to(device)
        stopping = Stopping(every=1000)
        counts[steps] = waits(
            lambda: finetune(model, data, config, stopping=stopping, looks_per_decade=1)  # noqa: B023
        )
    assert counts[40] == counts[20] > 0


@pytest.mark.parametrize("method", ["lora", "tt-delta"])
def test_nor_does_a_head_over_a_vocabulary(method):
    device, counts, data = pretended(), {}, next_token()
    moved = replace(data, weight=data.weight.to(device))
    moved.baseline("test")  # read once, whoever asks first
    for steps in (10, 20):
        config = TrainConfig(optimizer="adam", lr=0.01, steps=steps, batch=16)
        adapter = adapter_for(data, method).to(device)
        stopping = Stopping(every=1000)
        counts[steps] = waits(
            lambda: train_vocabulary_head(adapter, moved, config, stopping=stopping)  # noqa: B023
        )
    assert counts[20] == counts[10] > 0
