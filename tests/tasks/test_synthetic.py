import math

import numpy as np
import pytest
import torch

from ntklab.errors import InputError
from ntklab.tasks.synthetic import load_synthetic, synthetic_problem


@pytest.mark.parametrize(
    ("teacher", "classes"), [("linear", 2), ("linear", 4), ("relu", 2), ("relu", 3), ("barron", 2)]
)
def test_labels_follow_the_teachers_scores(teacher, classes):
    problem = synthetic_problem(teacher=teacher, classes=classes, samples=400, data_seed=1)
    for split, scores in (
        (problem.task.train, problem.train_scores),
        (problem.task.test, problem.test_scores),
    ):
        torch.testing.assert_close(problem.teacher(split.features), scores, rtol=1e-12, atol=1e-14)
        expected = scores[:, 0].gt(0).long() if classes == 2 else scores.argmax(1)
        assert torch.equal(split.labels, expected)
        assert split.features.dtype == scores.dtype == torch.float64
    counts = torch.bincount(problem.task.train.labels, minlength=classes)
    assert (counts > 0).all()
    assert problem.task.n_classes == classes
    assert (problem.task.train.n_samples, problem.task.test.n_samples) == (400, 100)


@pytest.mark.parametrize("decay", [0.0, 1.0, 2.0])
def test_the_covariance_has_the_eigenvalues_asked_for(decay):
    n = 20_000
    problem = synthetic_problem(features=6, samples=n, covariance_decay=decay)
    expected = np.arange(1, 7.0) ** -decay
    np.testing.assert_allclose(problem.eigenvalues, expected, rtol=1e-12)
    x = problem.task.train.features.numpy() / np.sqrt(expected)
    # Entries of the empirical covariance have standard deviation sqrt(2/n) at most.
    np.testing.assert_allclose(x.T @ x / n, np.eye(6), atol=5 * math.sqrt(2 / n))


def test_a_linear_teacher_is_linear_and_the_others_are_not():
    def residual(teacher):
        problem = synthetic_problem(teacher=teacher, features=5, samples=200)
        x, y = problem.task.train.features, problem.train_scores
        fit = x @ torch.linalg.lstsq(x, y).solution
        return ((fit - y).norm() / y.norm()).item()

    assert residual("linear") < 1e-12
    assert residual("relu") > 0.1
    assert residual("barron") > 0.1


def test_noise_flips_labels_as_often_as_the_angle_says():
    """P(flip) = arctan(noise / sd of scores) / π for Gaussian scores and noise."""
    n, noise = 20_000, 0.7
    problem = synthetic_problem(features=8, samples=n, noise=noise, data_seed=2)
    clean = synthetic_problem(features=8, samples=n, data_seed=2)
    assert torch.equal(problem.task.train.features, clean.task.train.features)
    flips = (problem.task.train.labels != clean.task.train.labels).double().mean().item()
    expected = math.atan(noise / problem.train_scores.square().mean().sqrt().item()) / math.pi
    assert abs(flips - expected) < 5 * math.sqrt(expected / n)


def test_the_seed_decides_and_training_rows_do_not_repeat_in_the_test():
    one, again, other = (load_synthetic(data_seed=s) for s in (0, 0, 1))
    assert torch.equal(one.train.features, again.train.features)
    assert not torch.equal(one.train.features, other.train.features)
    assert not torch.equal(one.train.features[:50], one.test.features)


def test_the_barron_constant_is_in_the_source_and_only_there():
    problem = synthetic_problem(teacher="barron")
    assert problem.task.source["barron_constant"] == problem.barron.constant > 0
    assert load_synthetic(teacher="relu").source["barron_constant"] is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"teacher": "liner"}, "unknown teacher 'liner': did you mean 'linear'"),
        ({"teacher": "barron", "classes": 3}, "its sign makes 2 classes, not 3"),
        ({"features": 0}, "features=0 must be a finite number, at least 1"),
        ({"samples": 0}, "samples=0"),
        ({"classes": 1}, "classes=1 .* at least 2"),
        ({"noise": -0.1}, r"noise=-0\.1"),
        ({"noise": math.nan}, "noise=nan"),
        ({"covariance_decay": math.inf}, "covariance_decay=inf"),
        ({"data_seed": -1}, "data_seed=-1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(options, words):
    with pytest.raises(InputError, match=words):
        load_synthetic(**options)
