"""The linear probe: the baseline that every adapter of a linear head is shown against."""

from typing import Self

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from ntklab.adapters.adapter import Decoupled
from ntklab.adapters.head import DeltaAdapter
from ntklab.adapters.presets import Draws, check_preset, source
from ntklab.adapters.spec import AdapterSpec


class LinearProbe(DeltaAdapter):
    """f = base(φ) + scale · φ Wᵀ, all d C weights trained; K = scale² ΦΦᵀ ⊗ I_C.

    State: `weight` (C, d).

    Args:
        in_features: d.
        out_features: C.
        scale: factor of the outputs; 1 if None.
        base: frozen linear layer or None.
        preset: every preset draws W ~ N(0, 1/d); the kernel does not depend on it.
        generator: source of the draws; torch's global one if None.
        seed: of the draws, in place of a generator.
        dtype: of the parameters.
        device: of the parameters.

    Example:
        >>> LinearProbe(512, 2).rank_bound(100)
        200
    """

    method = "linear-probe"

    @classmethod
    def from_sizes(
        cls, in_features: int, out_features: int, sizes: AdapterSpec, **common: object
    ) -> Self:
        """Nothing to choose."""
        return cls(in_features, out_features, **common)  # type: ignore[arg-type]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        scale: float | None = None,
        base: nn.Linear | None = None,
        preset: str = "ntk",
        generator: Generator | None = None,
        seed: int | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(
            in_features,
            out_features,
            scale=1.0 if scale is None else scale,
            base=base,
            preset=check_preset(preset),
        )
        draws = Draws(source(generator, seed), dtype, device)
        std = in_features**-0.5
        self.weight = nn.Parameter(draws.normal(out_features, in_features, std=std))

    def start_at_zero(self) -> bool:
        """W = 0: every weight moves."""
        self.weight.data.zero_()
        return True

    def delta(self) -> Float[Tensor, "d C"]:
        """Wᵀ."""
        return self.weight.T

    def decoupled(self, features: Float[Tensor, "N d"]) -> Decoupled:
        """K = s² ΦΦᵀ ⊗ I."""
        return Decoupled(self.scale * features, None, None, self.out_features)

    def function_rank_bound(self, features_rank: int) -> int:
        """C rank Φ."""
        return self.out_features * features_rank
