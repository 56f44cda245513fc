"""Predicted and measured runs share their conventions: a linear model obeys its prediction."""

import pytest
import torch

from ntklab.dynamics import linearize
from ntklab.errors import InputError
from ntklab.jacobians import ntk
from ntklab.tasks import load_task
from ntklab.training import Data, TrainConfig, train


@pytest.mark.parametrize("loss", ["squared", "cross-entropy"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_linear_model_obeys_its_prediction_at_every_logged_step(loss, reduction):
    torch.manual_seed(0)
    data = Data.of_task(load_task("synthetic", features=5, samples=12, classes=3))
    model = torch.nn.Linear(5, 3).double()
    x, f0 = data.tests["test"][0], model(data.inputs).detach()
    test0, K, cross = model(x).detach(), ntk(model, data.inputs), ntk(model, x, data.inputs)
    lr = 0.5 / (torch.linalg.eigvalsh(K)[-1].item() / (12 if reduction == "mean" else 1))
    config = TrainConfig(optimizer="gd", lr=lr, steps=200, loss=loss, reduction=reduction)
    run = train(model, data, config)
    prediction = linearize(K, f0, data.targets, loss=loss, reduction=reduction)
    predicted = prediction.descent(run.column("step"), lr)
    measured = torch.tensor(run.column("train_loss"), dtype=torch.float64)
    torch.testing.assert_close(predicted.loss, measured, rtol=1e-10, atol=1e-12)
    final = test0 + predicted.change_at(cross)[-1].view_as(test0)
    centre = (lambda f: f) if loss == "squared" else (lambda f: f - f.mean(1, keepdim=True))
    torch.testing.assert_close(centre(final), centre(model(x).detach()), rtol=1e-8, atol=1e-9)


def test_unknown_words_are_refused():
    K, f0, y = torch.eye(2), torch.zeros(1, 2), torch.tensor([0])
    with pytest.raises(InputError, match="unknown loss"):
        linearize(K, f0, y, loss="hinge")
    with pytest.raises(InputError, match="unknown reduction"):
        linearize(K, f0, y, reduction="median")


@pytest.mark.parametrize("loss", ["squared", "cross-entropy"])
@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        (torch.tensor([0, 1, 1]), r"targets have shape \(3,\): give labels \(N,\) = \(2,\)"),
        (torch.tensor([[0], [1]]), r"targets have shape \(2, 1\): give labels"),
        (torch.tensor([0, 5]), r"labels lie in 0..5, but there are 2 outputs: give labels from 0"),
        (torch.tensor([-1, 0]), r"labels lie in -1..0"),
        (torch.zeros(2, 3), r"targets have shape \(2, 3\): give values \(N, C\) = \(2, 2\)"),
    ],
)
def test_targets_that_do_not_fit_are_refused(loss, targets, sentence):
    with pytest.raises(InputError, match=sentence):
        linearize(torch.eye(4), torch.zeros(2, 2), targets, loss=loss)


def test_numpy_is_taken():
    K, f0, y = torch.eye(4).double(), torch.zeros(2, 2), torch.tensor([0, 1])
    runs = [
        linearize(*args).descent([0, 1], lr=1.0)
        for args in [(K, f0, y), (K.numpy(), f0.numpy(), y.numpy())]
    ]
    torch.testing.assert_close(runs[0].loss, runs[1].loss)
