"""`compare` beside the same thing done by hand."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ntklab
from ntklab.errors import InputError


def network(width=400, outputs=1):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, outputs)).double()


X = torch.linspace(-1, 1, 36, dtype=torch.float64).reshape(12, 3).sin()
Y = X.square().sum(1, keepdim=True)
LABELS = (Y[:, 0] > Y.median()).long()


def test_the_model_stays_and_its_copy_is_trained():
    model = network()
    before = [p.clone() for p in model.parameters()]
    beside = ntklab.compare(model, (X, Y))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert beside.run.steps == 100
    moved = zip(before, beside.model.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in moved)


def test_it_is_linearized_training_beside_a_loop_by_hand():
    lr, steps = 0.05, 40
    config = ntklab.TrainConfig(optimizer="gd", lr=lr, steps=steps, loss="squared")
    test = X + 0.1
    beside = ntklab.compare(network(), ntklab.Data(X, Y, {"held_out": (test, Y)}), config)

    model = network()
    J = ntklab.jacobian(model, X)
    cross = ntklab.ntk(model, test, X)
    with torch.no_grad():
        f0, f0_test = model(X), model(test)
    K = J.gram()
    f, change = f0.clone(), torch.zeros_like(f0_test)
    for _ in range(steps):  # kernel descent, step by step
        residual = (f - Y) / len(X)
        change = change - lr * cross @ residual
        f = f - lr * K @ residual
    wanted = 0.5 * (f - Y).square().mean()
    assert beside.predicted["train"][-1] == pytest.approx(float(wanted), rel=1e-9)
    wanted = 0.5 * (f0_test + change - Y).square().mean()
    assert beside.predicted["held_out"][-1] == pytest.approx(float(wanted), rel=1e-9)

    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        loss = 0.5 * (model(X) - Y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        measured = 0.5 * (model(X) - Y).square().mean()
    assert beside.run.final["train_loss"] == pytest.approx(float(measured), rel=1e-9)


def test_wide_networks_follow_their_kernel_and_narrow_ones_do_not():
    near, far = (ntklab.compare(network(width), (X, Y)) for width in (4000, 4))
    gaps = [abs(c.run.final["train_loss"] / c.predicted["train"][-1] - 1) for c in (near, far)]
    assert gaps[0] < 0.02 < gaps[1]
    assert near.regime.valid
    assert not far.regime.valid


def test_labels_are_trained_by_cross_entropy_with_test_losses_beside():
    data = ntklab.Data(X, LABELS, {"test": (X + 0.05, LABELS)})
    beside = ntklab.compare(network(3000, 2), data)
    assert beside.run.config.loss == "cross-entropy"
    for name in ("train", "test"):
        measured = beside.run.column(f"{name}_loss")
        assert beside.predicted[name] == pytest.approx(measured, rel=0.05)
    frame = beside.to_frame()
    assert frame["test_loss_predicted"].tolist() == beside.predicted["test"]
    assert "test loss" in repr(beside)
    assert "NTK regime: yes" in beside._repr_html_()


def test_a_schedule_is_flow_over_the_sum_of_rates():
    words = {"optimizer": "gd", "loss": "squared", "schedule": "cosine"}
    config = ntklab.TrainConfig(lr=0.001, steps=60, **words)
    beside = ntklab.compare(network(3000), (X, Y), config)
    assert float(beside.prediction.times[-1]) == pytest.approx(0.001 * 60 / 2, rel=0.05)
    assert beside.run.final["train_loss"] == pytest.approx(beside.predicted["train"][-1], rel=0.03)


def test_a_loader_and_arrays_are_data_too():
    loader = DataLoader(TensorDataset(X, Y), batch_size=5)
    config = ntklab.TrainConfig(optimizer="gd", lr=0.05, steps=3, loss="squared")
    results = [
        ntklab.compare(network(), data, config).predicted["train"]
        for data in ((X, Y), (X.numpy(), Y.numpy()), loader)
    ]
    assert results[1] == results[0]
    assert results[2] == results[0]


def test_the_axes_hold_measured_and_predicted():
    import matplotlib as mpl

    mpl.use("Agg")
    beside = ntklab.compare(network(), ntklab.Data(X, Y, {"test": (X, Y)}))
    lines = {line.get_label(): line.get_ydata().tolist() for line in beside.plot().lines}
    assert lines["train, linearized"] == beside.predicted["train"]
    assert lines["test, measured"] == beside.run.column("test_loss")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"weight_decay": 0.1}, "no decay"),
        ({"latent": "redrawn"}, "no kernel at the start"),
    ],
)
def test_what_linearized_training_cannot_say_is_refused(change, sentence):
    config = ntklab.TrainConfig(steps=1, loss="squared", **change)
    with pytest.raises(InputError, match=sentence):
        ntklab.compare(network(), (X, Y), config)


def test_a_model_without_parameters_is_refused():
    with pytest.raises(InputError, match="no trainable parameters"):
        ntklab.compare(nn.Tanh(), (X, X))
