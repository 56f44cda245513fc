"""A task: labelled features for training and for testing, and their source."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ntklab.errors import InputError


def _refuse_not_finite(features: Tensor) -> None:
    bad = ~torch.isfinite(features)
    count = int(bad.sum())
    if count:
        row, column = bad.nonzero()[0].tolist()
        raise InputError(
            f"features hold {count} values that are NaN or infinite, the first at row {row}, "
            f"column {column}: mend the images or the backbone before asking for a kernel."
        )


@dataclass(frozen=True, eq=False)
class Split:
    """Features with their labels: row n of one belongs to row n of the other.

    Args:
        features: Outputs φ(x) of the frozen backbone, shape (N, d), a floating dtype.
        labels: Class of each row, shape (N,), int64.

    Raises:
        InputError: If a shape or dtype differs, there are no rows, or a feature is NaN or infinite.

    Example:
        >>> Split(torch.zeros(3, 2), torch.tensor([0, 1, 0])).n_samples
        3
    """

    features: Float[Tensor, "N d"]
    labels: Int[Tensor, "N"]

    def __repr__(self) -> str:
        """The shape and the dtype."""
        return f"Split of {self.n_samples} rows of {self.features.shape[1]}, {self.features.dtype}"

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or not self.features.is_floating_point():
            raise InputError(
                f"features must be a floating tensor of shape (N, d), not {self.features.dtype} "
                f"of shape {tuple(self.features.shape)}."
            )
        rows = self.features.shape[0]
        if tuple(self.labels.shape) != (rows,) or self.labels.dtype != torch.int64:
            raise InputError(
                f"labels must be int64 of shape ({rows},), one for each row of features, not "
                f"{self.labels.dtype} of shape {tuple(self.labels.shape)}."
            )
        if self.features.numel() == 0:
            raise InputError(
                f"features of shape {tuple(self.features.shape)} are empty: "
                "a split needs at least one row and one column."
            )
        _refuse_not_finite(self.features)

    @property
    def n_samples(self) -> int:
        """Number of rows N."""
        return self.features.shape[0]


@dataclass(frozen=True, eq=False)
class Task:
    """A classification problem on frozen features.

    Args:
        name: Registry name, such as ``quantum-dot``.
        train: The rows to train on.
        test: The rows to judge by.
        n_classes: Number of classes C; labels run from 0 to C - 1.
        source: Provenance as JSON-ready values: condition, data and its SHA-256, backbone and
            its weights, hash of the features, seeds.

    Raises:
        InputError: If train and test differ in width, or a label is outside 0..C-1.

    Example:
        >>> split = Split(torch.eye(4), torch.tensor([0, 1, 0, 1]))
        >>> task = Task("toy", split, split, n_classes=2, source={})
        >>> task.n_features, task.subset(3, seed=0).train.n_samples
        (4, 3)
    """

    name: str
    train: Split
    test: Split
    n_classes: int
    source: dict[str, object]

    def __post_init__(self) -> None:
        widths = self.train.features.shape[1], self.test.features.shape[1]
        if widths[0] != widths[1]:
            raise InputError(
                f"train has {widths[0]} features and test has {widths[1]}: "
                "both must come from one backbone."
            )
        for split in (self.train, self.test):
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= self.n_classes:
                raise InputError(
                    f"labels run from {low} to {high}, but a task of {self.n_classes} classes "
                    f"has labels 0 to {self.n_classes - 1}."
                )

    def __repr__(self) -> str:
        """The sizes; the tensors themselves are in `train` and `test`."""
        sizes = f"d = {self.n_features}, C = {self.n_classes}"
        rows = f"{self.train.n_samples} training and {self.test.n_samples} test samples"
        return f"Task '{self.name}': {sizes}, {rows}"

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.train.features.shape[1]

    def subset(self, samples: int, seed: int) -> "Task":
        """The same task with fewer training rows; the test rows stay as they are.

        Takes the first ``samples`` rows of a permutation of the training rows that ``seed``
        alone decides, so with one seed a smaller subset is the beginning of a larger one.

        Args:
            samples: How many training rows to keep, from 1 to ``train.n_samples``.
            seed: Seed of the permutation.

        Returns:
            A new task whose ``source`` also holds ``subset_samples`` and ``subset_seed``.

        Raises:
            InputError: If more rows are asked for than there are, or fewer than one.
        """
        available = self.train.n_samples
        if not 1 <= samples <= available:
            raise InputError(
                f"{samples} samples were asked for, but task '{self.name}' has {available} "
                f"training samples: ask for 1 to {available}."
            )
        order = torch.randperm(available, generator=torch.Generator().manual_seed(seed))
        rows = order[:samples].to(self.train.features.device)
        train = Split(self.train.features[rows], self.train.labels[rows])
        source = {**self.source, "subset_samples": samples, "subset_seed": seed}
        return replace(self, train=train, source=source)
