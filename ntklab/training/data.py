"""The samples that a run trains on and is judged by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Shaped
from torch import Tensor

from ntklab.errors import InputError
from ntklab.tasks import Split, Task


@dataclass(frozen=True, eq=False)
class Data:
    """Inputs with targets: cached features for a head, images for a network trained end to end.

    Attributes:
        inputs: x, shape (N, …).
        targets: labels, int64 of shape (N,), or values (N, C) for the squared loss.
        tests: pairs (inputs, targets) by name; the generalization gap is measured on the first.

    Raises:
        InputError: inputs and targets of different lengths, or none at all.

    Example:
        >>> data = Data(torch.eye(4), torch.tensor([0, 1, 0, 1]))
        >>> data.n_samples, list(data.splits())[0][0]
        (4, 'train')
    """

    inputs: Shaped[Tensor, "N ..."]
    targets: Shaped[Tensor, "N ..."]
    tests: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "train" in self.tests:
            raise InputError("'train' names the training samples: give that test another name.")
        for name, x, y in self.splits():
            if len(x) != len(y) or len(x) == 0:
                raise InputError(
                    f"{name} has {len(x)} inputs and {len(y)} targets: give as many of one as of "
                    "the other, and at least one."
                )

    @classmethod
    def of_task(cls, task: Task, **tests: Task | Split) -> "Data":
        """Features and labels of a task; its own test rows come first, as `test`.

        Args:
            task: trained on.
            **tests: further test sets by name, such as `clean=` the same devices without noise.
        """
        pairs = {"test": (task.test.features, task.test.labels)}
        for name, other in tests.items():
            split = other.test if isinstance(other, Task) else other
            pairs[name] = (split.features, split.labels)
        return cls(task.train.features, task.train.labels, pairs)

    @property
    def n_samples(self) -> int:
        """N, the training samples."""
        return len(self.inputs)

    def splits(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """(name, inputs, targets), the training samples first."""
        yield "train", self.inputs, self.targets
        for name, (x, y) in self.tests.items():
            yield name, x, y

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "Data":
        """On a device, floating tensors in a dtype; labels stay int64."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)

        tests = {name: (move(x), move(y)) for name, (x, y) in self.tests.items()}
        return Data(move(self.inputs), move(self.targets), tests)


def one_hot(targets: Tensor, n_outputs: int, dtype: torch.dtype) -> Tensor:
    """Labels (N,) as values (N, C); values pass through in the dtype.

    >>> one_hot(torch.tensor([1, 0]), 2, torch.float32).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    if targets.is_floating_point():
        return targets.to(dtype)
    return torch.nn.functional.one_hot(targets, n_outputs).to(dtype)
