"""The samples that a run trains on and is judged by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.utils.data import DataLoader

from ntklab.arrays import all_batches, takes_arrays, tensor_of
from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.tasks import Split, Task


@dataclass(frozen=True, eq=False, repr=False)
class Data(ShortRepr):
    """Inputs with targets: cached features for a head, images for a network trained end to end.

    Numpy arrays are taken as well; integers become int64, which labels must be.

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
        object.__setattr__(self, "inputs", _tensor(self.inputs))
        object.__setattr__(self, "targets", _labels_or_values(self.targets))
        tests = {n: (_tensor(x), _labels_or_values(y)) for n, (x, y) in self.tests.items()}
        object.__setattr__(self, "tests", tests)
        if "train" in self.tests:
            raise InputError("'train' names the training samples: give that test another name.")
        for name, x, y in self.splits():
            if len(x) != len(y) or len(x) == 0:
                raise InputError(
                    f"{name} has {len(x)} inputs and {len(y)} targets: give as many of one as of "
                    "the other, and at least one."
                )

    @classmethod
    def of(cls, data: "Dataset") -> "Data":
        """Data from what people have: `Data`, a task, a pair, or a DataLoader of pairs.

        Args:
            data: a loader is read to its end, in memory.

        Raises:
            InputError: anything else, or a loader without targets.

        Example:
            >>> import numpy as np
            >>> Data.of((np.zeros((4, 3)), np.array([0, 1, 0, 1]))).targets.dtype
            torch.int64
        """
        if isinstance(data, Data):
            return data
        if isinstance(data, Task):
            return cls.of_task(data)
        pair: Any = all_batches(data) if isinstance(data, DataLoader) else data
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or pair[1] is None:
            raise InputError(
                f"data of type {type(data).__name__} are no samples with targets: give Data, a "
                "task, a pair (inputs, targets) or a DataLoader of such pairs."
            )
        return cls(*pair)

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


#: What `Data.of` takes.
Dataset = Data | Task | tuple[Any, Any] | DataLoader[Any]


def _tensor(value: Any) -> Tensor:
    return tensor_of(value) if isinstance(value, np.ndarray) else torch.as_tensor(value)


def _labels_or_values(value: Any) -> Tensor:
    tensor = _tensor(value)
    return tensor if tensor.is_floating_point() else tensor.long()


@takes_arrays
def one_hot(targets: Tensor, n_outputs: int, dtype: torch.dtype) -> Tensor:
    """Labels (N,) as values (N, C); values pass through in the dtype.

    >>> one_hot(torch.tensor([1, 0]), 2, torch.float32).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    if targets.is_floating_point():
        return targets.to(dtype)
    return torch.nn.functional.one_hot(targets, n_outputs).to(dtype)
