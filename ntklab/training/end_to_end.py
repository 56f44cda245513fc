"""Training through the backbone, as the public code of the TensorGuide paper runs it."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.adapters import Adapter, build_adapter
from ntklab.tasks import resnet18
from ntklab.training.config import released_config


class Network(nn.Module):
    """A backbone and a head: f(x) = head(backbone(x)).

    What requires a gradient in either is trained. In training mode BatchNorm uses and updates
    the statistics of the batch, so "frozen features" move with it; the kernel is defined in
    evaluation mode only.

    Args:
        backbone: images (N, …) to features (N, d).
        head: features (N, d) to outputs (N, C).

    Example:
        >>> Network(nn.Flatten(), nn.Linear(4, 2))(torch.zeros(3, 1, 2, 2)).shape
        torch.Size([3, 2])
    """

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Float[Tensor, "N ..."]) -> Float[Tensor, "N C"]:
        """The head's outputs."""
        return self.head(self.backbone(images))


def released_network(
    method: str,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    **sizes: Any,
) -> Network:
    """The network that the released scripts train: random ResNet-18, trainable conv1, the head.

    Of the backbone only conv1 (1 → 64, 7 × 7: 3136 weights) is trained; BatchNorm's statistics
    move in training mode all the same.

    Args:
        method: `lora`, `tt-lora` or `tensorguide`.
        seed: of backbone and head.
        dtype: of the parameters.
        **sizes: of TensorGuide, as `build_adapter` takes them: width (1024, 2048 or 4096 in the
            paper), TT-ranks and dims; the released 1024 and its ranks where they are left out.

    Example:
        >>> network = released_network("tensorguide", width=1024)
        >>> sum(p.numel() for p in network.parameters() if p.requires_grad)
        4276
    """
    released_config(method)  # an unknown name is refused before the backbone is drawn
    backbone = resnet18(in_channels=1, seed=seed, dtype=dtype)
    backbone.get_submodule("conv1").requires_grad_(True)
    generator = torch.Generator().manual_seed(seed)
    head: Adapter = build_adapter(
        method, 512, 2, preset="released", generator=generator, dtype=dtype, **sizes
    )
    return Network(backbone, head)
