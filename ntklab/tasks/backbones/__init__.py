"""Frozen backbones φ: images in, features out."""

from pathlib import Path

from torch import nn

from ntklab.errors import InputError, unknown
from ntklab.tasks.backbones.huggingface import HuggingFaceImageModel, huggingface
from ntklab.tasks.backbones.resnet import ResNet18, resnet18

__all__ = ["HuggingFaceImageModel", "ResNet18", "load_backbone", "resnet18"]

_HUGGING_FACE = "hf:"


def load_backbone(spec: str, weights: Path | str | None = None, seed: int = 0) -> nn.Module:
    """Build a frozen backbone for one-channel images from its name.

    Args:
        spec: ``resnet18``, or ``hf:NAME_OR_FOLDER`` for any Hugging Face image model.
        weights: Weights for ``resnet18``; left out, they are random by ``seed``.
        seed: Seed of random weights; of no effect where weights are loaded.

    Returns:
        A module in evaluation mode that maps (N, 1, H, W) to (N, d), with no parameter that asks
        for a gradient.

    Raises:
        InputError: For an unknown name, unreadable weights, or weights given to an ``hf:`` model,
            which brings its own.
        MissingExtraError: If ``hf:`` is asked for and transformers is not installed.

    Example:
        >>> load_backbone("resnet81")
        Traceback (most recent call last):
        ...
        ntklab.errors.InputError: unknown backbone 'resnet81': did you mean 'resnet18'? ...
    """
    if spec.startswith(_HUGGING_FACE):
        if weights is not None:
            raise InputError(
                f"the backbone '{spec}' brings its own weights, but '{weights}' was given too: "
                "leave one of the two out."
            )
        return huggingface(spec.removeprefix(_HUGGING_FACE))
    if spec != "resnet18":
        raise unknown("backbone", spec, ["resnet18", "hf:NAME_OR_FOLDER"])
    return resnet18(seed=seed, weights=weights)
