"""Synthetic tasks: Gaussian features of a chosen spectrum and a teacher that is known exactly."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.errors import InputError, unknown
from ntklab.tasks.task import Split, Task

TEACHERS = ("linear", "relu", "barron")
_HIDDEN = 16  # units of the ReLU teacher: few, so that a narrow student can match it

Teacher = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class BarronTarget:
    """A sum of cosines, f(x) = Σ_k a_k cos(ω_k·x + b_k), whose Barron constant is known.

    Its Fourier measure puts |a_k|/2 on each of ±ω_k, so for distinct ω_k
    C_f = ∫ ‖ω‖ |f̂|(dω) = Σ_k |a_k| ‖ω_k‖ (Barron 1993, IEEE Trans. Inf. Theory 39(3), eq. 3).
    That is the constant of f on all of R^d; on a bounded set other extensions of f could have a
    smaller one, so it is an upper bound there.

    Args:
        amplitudes: a_k, shape (K,).
        frequencies: ω_k, shape (K, d).
        phases: b_k, shape (K,), radians.

    Example:
        >>> target = BarronTarget(torch.tensor([2.0]), torch.tensor([[3.0, 4.0]]), torch.zeros(1))
        >>> target.constant, target(torch.zeros(1, 2)).item()
        (10.0, 2.0)
    """

    amplitudes: Float[Tensor, "K"]
    frequencies: Float[Tensor, "K d"]
    phases: Float[Tensor, "K"]

    def __call__(self, x: Float[Tensor, "N d"]) -> Float[Tensor, "N"]:
        """Values f(x), shape (N,)."""
        return torch.cos(x @ self.frequencies.T + self.phases) @ self.amplitudes

    @property
    def constant(self) -> float:
        """Barron constant C_f = Σ_k |a_k| ‖ω_k‖."""
        return float(self.amplitudes.abs() @ self.frequencies.norm(dim=1))


def barron_target(
    eigenvalues: Float[Tensor, "d"], *, terms: int = 16, bandwidth: float = 2.0, seed: int = 0
) -> BarronTarget:
    """Draw a Barron target for inputs x ~ N(0, diag(eigenvalues)).

    Directions of ω_k are uniform, their lengths make ω_k·x of standard deviation ``bandwidth``;
    amplitudes are ± sqrt(2 / terms), phases uniform. One term more has ω = 0 and the amplitude
    that makes the exact mean of f zero, so that its sign gives two classes of similar size; a
    constant adds nothing to C_f.

    Args:
        eigenvalues: Variances of the inputs, shape (d,), positive.
        terms: Number of cosines with ω ≠ 0.
        bandwidth: Standard deviation of the phases ω_k·x, radians.
        seed: Seed of the draw.

    Returns:
        The target, with ``terms`` + 1 terms, in the dtype of ``eigenvalues``.

    Raises:
        InputError: If ``terms`` is below 1 or ``bandwidth`` is not positive.

    Example:
        >>> target = barron_target(torch.ones(3, dtype=torch.float64), terms=4)
        >>> target.frequencies.shape, target.constant > 0
        (torch.Size([5, 3]), True)
    """
    if terms < 1 or not bandwidth > 0:
        raise InputError(
            f"a Barron target of {terms} terms and bandwidth {bandwidth} cannot be drawn: ask "
            "for at least 1 term and a positive bandwidth."
        )
    generator = torch.Generator().manual_seed(seed)
    like = {"generator": generator, "dtype": eigenvalues.dtype}
    directions = torch.randn(terms, len(eigenvalues), **like)
    deviation = (directions.square() @ eigenvalues).sqrt().unsqueeze(1)
    frequencies = bandwidth * directions / deviation
    phases = 2 * math.pi * torch.rand(terms, **like)
    signs = torch.randint(0, 2, (terms,), generator=generator) * 2.0 - 1.0
    amplitudes = signs.to(eigenvalues.dtype) * math.sqrt(2 / terms)
    # E cos(ω·x + b) = cos(b) exp(-½ ωᵀΣω) for Gaussian x.
    mean = (amplitudes * phases.cos()).sum() * math.exp(-0.5 * bandwidth**2)
    zero = torch.zeros_like(mean).unsqueeze(0)
    return BarronTarget(
        torch.cat([amplitudes, -mean.unsqueeze(0)]),
        torch.cat([frequencies, torch.zeros_like(frequencies[:1])]),
        torch.cat([phases, zero]),
    )


@dataclass(frozen=True, eq=False)
class SyntheticProblem:
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
    # Rows sum to zero over the units: without it a ReLU's positive mean decides the sign.
    second = (second - second.mean(0)) * math.sqrt(2 / _HIDDEN)
    return lambda x: torch.relu(x @ first) @ second, None


def _labels(scores: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    noisy = scores + noise * torch.randn(scores.shape, generator=generator, dtype=scores.dtype)
    return (noisy[:, 0] > 0).long() if scores.shape[1] == 1 else noisy.argmax(1)


def _check(
    features: int, samples: int, classes: int, covariance_decay: float, teacher: str, noise: float
) -> None:
    if teacher not in TEACHERS:
        raise unknown("teacher", teacher, TEACHERS)
    for word, value, least in (("features", features, 1), ("samples", samples, 1),
                               ("classes", classes, 2)):  # fmt: skip
        if value < least:
            raise InputError(f"{word}={value} is too small: give at least {least}.")
    if teacher == "barron" and classes != 2:
        raise InputError(
            f"the teacher 'barron' is one function and its sign makes 2 classes, not {classes}: "
            "leave classes at 2, or take the teacher 'linear' or 'relu'."
        )
    for word, number in (("covariance_decay", covariance_decay), ("noise", noise)):
        if not (math.isfinite(number) and number >= 0):
            raise InputError(f"{word}={number} must be a finite number that is not negative.")


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
    _check(features, samples, classes, covariance_decay, teacher, noise)
    if data_seed < 0:
        raise InputError(f"data_seed={data_seed} is negative: give a seed from 0 up.")
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
