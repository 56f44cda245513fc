"""A frozen base that takes away what its adapter added at the start."""

from copy import deepcopy
from typing import Self

from jaxtyping import Float
from torch import Tensor, nn

from ntklab.adapters.adapter import Adapter


class Recentred(nn.Module):
    """layer(x) − s g(θ₀, x): under an adapter s g(θ, x), the sum starts at the layer alone.

    Frozen, so the kernel is that of the adapter without it.

    Attributes:
        layer: the plain layer.
        start: a frozen copy of the adapter at its start, without a base.

    Example:
        >>> import torch
        >>> from ntklab.adapters import build_adapter
        >>> layer = nn.Linear(6, 2)
        >>> adapter = build_adapter("tensorguide", 6, 2, width=8, base=layer)
        >>> adapter.base = Recentred.around(adapter)
        >>> torch.allclose(adapter(torch.ones(1, 6)), layer(torch.ones(1, 6)))
        True
    """

    def __init__(self, layer: nn.Linear, start: Adapter) -> None:
        super().__init__()
        self.layer = layer
        self.start = start.requires_grad_(False)

    @classmethod
    def around(cls, adapter: Adapter) -> Self:
        """The base of an adapter, less what the adapter gives now."""
        layer = adapter.base
        assert layer is not None
        adapter.base = None
        return cls(layer, deepcopy(adapter))

    def forward(self, features: Float[Tensor, "*N d"]) -> Float[Tensor, "*N C"]:
        """The layer's outputs, less the adapter's first ones."""
        return self.layer(features) - self.start(features)

    @property
    def weight(self) -> Tensor:
        """The layer's, for code that asks its dtype."""
        return self.layer.weight

    @property
    def bias(self) -> Tensor | None:
        """The layer's."""
        return self.layer.bias
