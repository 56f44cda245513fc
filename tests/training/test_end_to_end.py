"""The released runs: what is trained, in which mode, with which settings."""

import pytest
import torch

from ntklab.errors import InputError
from ntklab.tasks import simulate
from ntklab.training import Data, TrainConfig, released_config, released_network, train


@pytest.mark.parametrize(
    ("method", "width", "count"),
    [
        ("lora", None, 5192),
        ("tt-lora", None, 4900),
        ("tensorguide", 1024, 4276),
        ("tensorguide", 2048, 4292),
        ("tensorguide", 4096, 4356),
    ],
)
def test_parameter_counts_of_table_1_and_2_include_conv1(method, width, count):
    network = released_network(method, width=width)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == count


def test_released_settings_differ_between_the_methods():
    settings = {
        m: (released_config(m).batch, released_config(m).lr)
        for m in ("lora", "tt-lora", "tensorguide")
    }
    assert settings == {"lora": (8, 1e-3), "tt-lora": (8, 3e-3), "tensorguide": (16, 3e-3)}
    with pytest.raises(InputError, match="unknown released method"):
        released_config("tera")


def test_conv1_the_head_and_the_batch_statistics_move_and_nothing_else():
    diagrams = simulate(12, seed=0)
    images = torch.from_numpy(diagrams.noisy).unsqueeze(1)
    labels = torch.from_numpy(diagrams.labels)
    network = released_network("lora", seed=1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    data = Data(images[:8], labels[:8], {"noisy": (images[8:], labels[8:])})
    run = train(network, data, released_config("lora").with_(epochs=2, batch=4))
    moved = {n for n, v in network.state_dict().items() if not v.equal(before[n])}
    trained = {"backbone.conv1.weight", "head.A", "head.B"}
    statistics = {n for n in before if n.rsplit(".", 1)[-1].startswith(("running", "num_batches"))}
    assert moved == trained | statistics
    assert run.steps == 4
    assert not network.backbone.training  # as resnet18 gave it
    assert {"noisy_accuracy", "gap"} <= run.final.keys()


def test_training_mode_sees_the_batch():
    """One step of the loop is a step through batch statistics, not through the running ones."""
    network, twin = released_network("lora", seed=2), released_network("lora", seed=2)
    images = torch.randn(4, 1, 50, 50, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 0, 1])
    config = TrainConfig(optimizer="gd", lr=0.5, steps=1)
    train(network, Data(images, labels), config)
    twin.train()
    torch.nn.functional.cross_entropy(twin(images), labels).backward()
    conv1 = twin.backbone.conv1.weight
    expected = conv1.detach() - 0.5 * conv1.grad
    torch.testing.assert_close(network.backbone.conv1.weight.detach(), expected)
    assert conv1.grad.abs().max() > 0
