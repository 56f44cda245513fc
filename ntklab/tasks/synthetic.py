"""Synthetic tasks: Gaussian features of a chosen spectrum and a teacher that is known exactly."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.display import ShortRepr
from ntklab.errors import InputError, unknown
from ntklab.host_memory import refuse_beyond_memory
from ntklab.tasks.barron import BarronTarget, barron_target
from ntklab.tasks.task import Split, Task

TEACHERS = ("linear", "relu", "barron")
_HIDDEN = 16  # units of the ReLU teacher: few, so that a narrow student can match it

Teacher = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False, repr=False)
class SyntheticProblem(ShortRepr):
    """A synthetic task with what its labels were made from.

    Args:
        task: The classification task.
        teacher: The teacher: features (N, d) to scores (N, S), S = 1 for two classes, else C.
        train_scores: Scores of the training rows before noise: the regression values, (N, S).
        test_scores: The same for the test rows.
        eigenvalues: Variances of the features, shape (d,).
        barron: The Barron target behind the teacher ``barron``, else None.
    """

    task: Task
    teacher: Teacher
    train_scores: Float[Tensor, "N S"]
    test_scores: Float[Tensor, "N2 S"]
    eigenvalues: Float[Tensor, "d"]
    barron: BarronTarget | None


def _stream(data_seed: int, number: int) -> torch.Generator:
    """One of several independent sources of randomness that one seed gives."""
    word = int(np.random.SeedSequence([data_seed, number]).generate_state(1, np.uint64)[0])
    return torch.Generator().manual_seed(word % 2**63)


def _teacher(
    name: str, eigenvalues: Tensor, scores: int, data_seed: int
) -> tuple[Teacher, BarronTarget | None]:
    generator, dtype, d = _stream(data_seed, 0), eigenvalues.dtype, len(eigenvalues)
    if name == "barron":
        target = barron_target(eigenvalues, seed=generator.initial_seed())
        return lambda x: target(x).unsqueeze(1), target
    spread = eigenvalues.sum().sqrt()  # so that scores are of order one
    if name == "linear":
        weight = torch.randn(d, scores, generator=generator, dtype=dtype) / spread
        return lambda x: x @ weight, None
    first = torch.randn(d, _HIDDEN, generator=generator, dtype=dtype) / spread
    second = torch.randn(_HIDDEN, scores, generator=generator, dtype=dtype)
    # Columns sum to zero over the units: otherwise a ReLU's positive mean decides the sign.
    second = (second - second.mean(0)) * math.sqrt(2 / _HIDDEN)
    return lambda x: torch.relu(x @ first) @ second, None


def _labels(scores: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    noisy = scores + noise * torch.randn(scores.shape, generator=generator, dtype=scores.dtype)
    return (noisy[:, 0] > 0).long() if scores.shape[1] == 1 else noisy.argmax(1)


def _check_teacher(teacher: str, classes: int) -> None:
    if teacher not in TEACHERS:
        raise unknown("teacher", teacher, TEACHERS)
    if teacher == "barron" and classes != 2:
        raise InputError(
            f"the teacher 'barron' is one function and its sign makes 2 classes, not {classes}: "
            "leave classes at 2, or take the teacher 'linear' or 'relu'."
        )


def _check_least(**limits: tuple[float, int]) -> None:
    for word, (value, least) in limits.items():
        if not (math.isfinite(value) and value >= least):
            raise InputError(f"{word}={value} must be a finite number, at least {least}.")


def synthetic_problem(
    *,
    features: int = 32,
    samples: int = 200,
    classes: int = 2,
    covariance_decay: float = 1.0,
    teacher: str = "linear",
    noise: float = 0.0,
    data_seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> SyntheticProblem:
    """Gaussian features x ~ N(0, diag(i^-decay)), i = 1..d, labelled by a known teacher.

    The teacher gives scores s(x): one for two classes (label 1 where s > 0), one a class
    otherwise (label argmax). ``linear``: s = x W. ``relu``: one hidden layer of 16 units.
    ``barron``: a sum of 16 cosines with known Barron constant. ``noise`` is the standard
    deviation of Gaussian noise added to the scores before they become labels.

    Args:
        features: d, at least 1.
        samples: Number of training rows; a quarter as many, at least one, are for testing.
        classes: C, at least 2; exactly 2 for ``barron``.
        covariance_decay: Exponent of the eigenvalues' decay, not negative; 0 is isotropic.
        teacher: ``linear``, ``relu`` or ``barron``.
        noise: Standard deviation of the scores' noise, not negative.
        data_seed: Seed of features, teacher and noise, not negative.
        dtype: Dtype of features and scores.

    Returns:
        The task with teacher, noiseless scores, eigenvalues and Barron target.

    Raises:
        InputError: If a value is outside what is said above.

    Example:
        >>> problem = synthetic_problem(features=8, samples=20, teacher="barron")
        >>> problem.train_scores.shape, problem.task.source["barron_constant"] > 0
        (torch.Size([20, 1]), True)
    """
    _check_teacher(teacher, classes)
    _check_least(
        features=(features, 1),
        samples=(samples, 1),
        classes=(classes, 2),
        covariance_decay=(covariance_decay, 0),
        noise=(noise, 0),
        data_seed=(data_seed, 0),
    )
    refuse_beyond_memory("the features", samples, features)
    eigenvalues = torch.arange(1, features + 1, dtype=dtype) ** -covariance_decay
    function, barron = _teacher(teacher, eigenvalues, 1 if classes == 2 else classes, data_seed)
    splits, scores = [], []
    for number, rows in ((1, samples), (2, max(1, samples // 4))):
        generator = _stream(data_seed, number)
        x = torch.randn(rows, features, generator=generator, dtype=dtype) * eigenvalues.sqrt()
        scores.append(function(x))
        splits.append(Split(x, _labels(scores[-1], noise, generator)))
    source: dict[str, object] = {
        "data": "synthetic",
        "teacher": teacher,
        "covariance_decay": covariance_decay,
        "noise": noise,
        "data_seed": data_seed,
        "barron_constant": None if barron is None else barron.constant,
    }
    task = Task("synthetic", splits[0], splits[1], n_classes=classes, source=source)
    return SyntheticProblem(task, function, scores[0], scores[1], eigenvalues, barron)


def load_synthetic(
    *,
    features: int = 32,
    samples: int = 200,
    classes: int = 2,
    covariance_decay: float = 1.0,
    teacher: str = "linear",
    noise: float = 0.0,
    data_seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Task:
    """The task of :func:`synthetic_problem`, which also gives the regression values.

    Arguments, errors and meaning are those of :func:`synthetic_problem`; the Barron constant, if
    the teacher has one, is ``source["barron_constant"]``.

    Example:
        >>> task = load_synthetic(features=4, samples=8, classes=3)
        >>> task.train.features.shape, task.n_classes, task.test.n_samples
        (torch.Size([8, 4]), 3, 2)
    """
    return synthetic_problem(
        features=features,
        samples=samples,
        classes=classes,
        covariance_decay=covariance_decay,
        teacher=teacher,
        noise=noise,
        data_seed=data_seed,
        dtype=dtype,
    ).task
