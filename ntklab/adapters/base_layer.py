"""Frozen layers that an adapter may stand on: torch's Linear and transformers' Conv1D."""

from torch import Tensor, nn

from ntklab.errors import InputError


def is_conv1d(layer: nn.Module) -> bool:
    """Whether a layer is transformers' Conv1D: a linear layer whose weight is (d, C), not (C, d).

    By name, so that transformers need not be installed.

    >>> is_conv1d(nn.Linear(2, 3))
    False
    """
    kinds = ((kind.__module__, kind.__name__) for kind in type(layer).__mro__)
    return any(
        name == "Conv1D" and module.partition(".")[0] == "transformers" for module, name in kinds
    )


def layer_sizes(layer: nn.Module) -> tuple[int, int]:
    """(d, C) of a linear layer.

    Raises:
        InputError: a layer of another kind, naming it.

    >>> layer_sizes(nn.Linear(2, 3))
    (2, 3)
    """
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    if is_conv1d(layer):
        weight = layer.weight
        assert isinstance(weight, Tensor)
        return weight.shape[0], weight.shape[1]
    raise InputError(
        f"the base layer is {type(layer).__name__}, but an adapter stands on a linear layer: give "
        "nn.Linear or transformers' Conv1D."
    )
