"""The problems that are measured: one head over Gaussian features each, by name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from ntklab.adapters import build_adapter

#: A plain network in place of an adapter, the one head that every peer knows.
MLP = "mlp"


@dataclass(frozen=True)
class Problem:
    """A head and its inputs, drawn from a fixed seed: JSON data, so that a process can be told.

    Attributes:
        method: a name of `ntklab.adapters.METHODS`, or `mlp`: d → width → C with ReLU, no biases.
        samples: N.
        in_features: d.
        outputs: C.
        sizes: further arguments of `build_adapter`.
    """

    method: str
    samples: int
    in_features: int = 512
    outputs: int = 2
    sizes: Mapping[str, Any] = field(default_factory=dict)

    def model(self, dtype: torch.dtype = torch.float32, device: str = "cpu") -> nn.Module:
        """The head; the same weights, rounded, whatever dtype and device.

        Example:
            >>> Problem("lora", samples=4).model().parameter_count
            2056
        """
        seeded = Generator().manual_seed(0)
        if self.method == MLP:
            model: nn.Module = _plain_network(self.in_features, self.sizes["width"], self.outputs)
            for weight in model.parameters():
                weight.data.normal_(std=weight.shape[1] ** -0.5, generator=seeded)
        else:
            sizes = dict(self.sizes)
            model = build_adapter(
                self.method, self.in_features, self.outputs, generator=seeded, **sizes
            )
        return model.to(device=device, dtype=dtype).eval()

    def features(
        self, dtype: torch.dtype = torch.float32, device: str = "cpu"
    ) -> Float[Tensor, "N d"]:
        """Φ with independent N(0, 1) entries."""
        seeded = Generator().manual_seed(1)
        drawn = torch.randn(self.samples, self.in_features, generator=seeded)
        return drawn.to(device=device, dtype=dtype)

    def with_samples(self, samples: int) -> "Problem":
        """The same head on another number of samples."""
        return replace(self, samples=samples)

    def to_dict(self) -> dict[str, Any]:
        """JSON data; `Problem(**data)` is the problem again."""
        return asdict(self)


def _plain_network(d: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(d, width, bias=False), nn.ReLU(), nn.Linear(width, outputs, bias=False)
    )
