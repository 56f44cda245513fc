"""Any Hugging Face image model as a frozen backbone."""

import inspect

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.errors import InputError, MissingExtraError


def _size(value: object) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return int(value[0]), int(value[1])
    return None  # a convolutional model that takes any size


class HuggingFaceImageModel(nn.Module):
    """A transformers model that maps images (N, 1 or c, H, W) to features (N, d).

    One-channel images are repeated to the model's channels, and images of another size than the
    model's ``image_size`` are resized (bilinear, antialiased). No mean or deviation is applied:
    the diagrams are standardised already.

    Args:
        model: The transformers model; its forward takes ``pixel_values``.
        pooled: Take the model's pooled output; otherwise the mean over tokens or places.
    """

    def __init__(self, model: nn.Module, *, pooled: bool) -> None:
        super().__init__()
        self.model = model
        self.pooled = pooled
        config = model.config
        self.channels = int(getattr(config, "num_channels", 3))
        self.size = _size(getattr(config, "image_size", None))

    def forward(self, images: Float[Tensor, "N c h w"]) -> Float[Tensor, "N d"]:
        """Features: the pooled output, or the mean over tokens (N, t, d) or places (N, d, h, w)."""
        if images.shape[1] == 1 and self.channels != 1:
            images = images.expand(-1, self.channels, -1, -1)
        if self.size is not None and images.shape[-2:] != self.size:
            images = nn.functional.interpolate(
                images, self.size, mode="bilinear", align_corners=False, antialias=True
            )
        output = self.model(pixel_values=images)
        pooled = getattr(output, "pooler_output", None) if self.pooled else None
        if pooled is not None:
            return pooled.flatten(1)
        hidden = output.last_hidden_state
        return hidden.mean(1) if hidden.ndim == 3 else hidden.flatten(2).mean(2)


def huggingface(name: str) -> HuggingFaceImageModel:
    """A frozen Hugging Face image model in evaluation mode.

    Text-and-image models such as CLIP give their vision tower. A checkpoint without weights for
    the pooler (many classifiers) is averaged over tokens instead: random features would differ
    from run to run.

    Args:
        name: Name on the hub, or a folder that holds the model.

    Returns:
        The model, in float32, with no parameter that asks for a gradient.

    Raises:
        MissingExtraError: If transformers is not installed.
        InputError: If the model cannot be loaded, does not take images, or lacks weights.
    """
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise MissingExtraError(f"the backbone 'hf:{name}'", "hf") from error
    try:
        model, report = AutoModel.from_pretrained(
            name, output_loading_info=True, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"the Hugging Face model '{name}' cannot be loaded ({reason}): give a name on the hub "
            "or a folder with config.json and weights."
        ) from error
    model = getattr(model, "vision_model", model)
    if "pixel_values" not in inspect.signature(model.forward).parameters:
        raise InputError(
            f"the Hugging Face model '{name}' ({type(model).__name__}) does not take images: "
            "give an image model."
        )
    absent = sorted(report["missing_keys"])
    lost = [key for key in absent if "pooler" not in key]
    if lost:
        raise InputError(
            f"the files of the Hugging Face model '{name}' lack {len(lost)} weights, the first "
            f"{lost[0]}: features of random weights would mean nothing; give a whole model."
        )
    for key, parameter in model.named_parameters():
        if "pooler" in key and absent:
            nn.init.zeros_(parameter)  # unused, but part of the content hash of the features
    wrapper = HuggingFaceImageModel(model, pooled=not absent)
    return wrapper.eval().requires_grad_(False)
