"""The two losses, with the constant that brings each to its kernel dynamics."""

from collections.abc import Callable

from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from ntklab.arrays import takes_arrays
from ntklab.errors import InputError
from ntklab.training.config import TrainConfig
from ntklab.training.data import one_hot

Loss = Callable[[Tensor, Tensor], Tensor]


def loss_function(config: TrainConfig) -> Loss:
    """The loss of a batch: outputs (n, C) and targets to one number.

    `squared` is ½ Σ_c (f_c − y_c)² a sample, so that its gradient by f is the residual; labels
    become one-hot values. `cross-entropy` wants labels.

    Example:
        >>> import torch
        >>> loss = loss_function(TrainConfig(steps=1, loss="squared"))
        >>> loss(torch.tensor([[1.0, 3.0]]), torch.tensor([0])).item()
        4.5
    """
    if config.loss == "cross-entropy":
        return _CROSS_ENTROPY[config.reduction]
    return _SQUARED[config.reduction]


@takes_arrays
def accuracy(outputs: Float[Tensor, "n C"], targets: Shaped[Tensor, "n ..."]) -> float:
    """Share of samples whose largest output is the label; one output counts by its sign.

    Values (n, C) as targets stand for the label of their largest entry.

    >>> import torch
    >>> accuracy(torch.tensor([[0.0, 1.0], [2.0, 1.0]]), torch.tensor([1, 1]))
    0.5
    """
    if outputs.shape[1] == 1:
        chosen = outputs[:, 0] > 0
        wanted = targets.reshape(-1) > 0
    else:
        chosen = outputs.argmax(1)
        wanted = targets.argmax(1) if targets.is_floating_point() else targets
    return float((chosen == wanted).double().mean())


def check_targets(config: TrainConfig, outputs: Tensor, targets: Tensor) -> None:
    """Refuse targets that do not fit the loss.

    Raises:
        InputError: values for cross-entropy, labels outside 0..C − 1, values of another width.
    """
    if outputs.ndim != 2:
        raise InputError(
            f"the model gives outputs of shape {tuple(outputs.shape)}: training needs (N, C)."
        )
    columns = outputs.shape[1]
    if targets.is_floating_point():
        if config.loss == "cross-entropy":
            raise InputError("cross-entropy needs int64 labels, not values: use squared loss.")
        if targets.ndim != 2 or targets.shape[1] != columns:
            raise InputError(
                f"targets have shape {tuple(targets.shape)} but the model has {columns} outputs: "
                f"give values of shape (N, {columns})."
            )
    elif int(targets.min()) < 0 or int(targets.max()) >= columns:
        raise InputError(
            f"labels run from {int(targets.min())} to {int(targets.max())} but the model has "
            f"{columns} outputs: labels must be 0 to {columns - 1}."
        )


def _squared_sum(outputs: Tensor, targets: Tensor) -> Tensor:
    return 0.5 * (outputs - one_hot(targets, outputs.shape[1], outputs.dtype)).square().sum()


def _squared_mean(outputs: Tensor, targets: Tensor) -> Tensor:
    return _squared_sum(outputs, targets) / len(outputs)


def _cross_entropy_sum(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, reduction="sum")


_SQUARED: dict[str, Loss] = {"sum": _squared_sum, "mean": _squared_mean}
_CROSS_ENTROPY: dict[str, Loss] = {"sum": _cross_entropy_sum, "mean": F.cross_entropy}
