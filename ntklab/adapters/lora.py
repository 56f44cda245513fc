"""LoRA: a low-rank update with both factors trained (Hu et al. 2021, arXiv 2106.09685)."""

from typing import Self

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from ntklab.adapters.adapter import Decoupled
from ntklab.adapters.head import FactorAdapter
from ntklab.adapters.presets import Draws, check_preset, source
from ntklab.adapters.spec import AdapterSpec
from ntklab.errors import InputError


class LoRA(FactorAdapter):
    """f = base(φ) + (α/r) φ Aᵀ Bᵀ: W1 = Aᵀ (d, r), W2 = Bᵀ (r, C), σ = identity (eq 1).

    State: `A` (r, d), `B` (C, r).

    Args:
        in_features: d.
        out_features: C.
        rank: r.
        alpha: α; 32 under `released`, r otherwise. Ignored when `scale` is given.
        scale: factor of the update; α/r if None.
        base: frozen linear layer or None.
        preset: `ntk` draws A ~ N(0, 1/d), B ~ N(0, 1/r); `released` both 0.01 N(0, 1);
            `paper` A ~ N(0, 1/d), B = 0 as Hu et al., where K is singular at the start (P7b).
        generator: source of the draws; torch's global one if None.
        seed: of the draws, in place of a generator.
        dtype: of the parameters.
        device: of the parameters.

    Raises:
        InputError: rank < 1, an unknown preset, or a base of another shape.

    Example:
        >>> LoRA(512, 2, rank=4).parameter_count
        2056
    """

    method = "lora"

    uses = frozenset({"rank"})

    @classmethod
    def from_sizes(
        cls, in_features: int, out_features: int, sizes: AdapterSpec, **common: object
    ) -> Self:
        """Rank 4 unless given, as the TensorGuide paper compares."""
        rank = 4 if sizes.rank is None else sizes.rank
        return cls(in_features, out_features, rank, **common)  # type: ignore[arg-type]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rank: int,
        *,
        alpha: float | None = None,
        scale: float | None = None,
        base: nn.Linear | None = None,
        preset: str = "ntk",
        generator: Generator | None = None,
        seed: int | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        check_preset(preset)
        if rank < 1:
            raise InputError(f"rank = {rank} must be at least 1: LoRA trains two factors.")
        if scale is None:
            default = 32 if preset == "released" else rank
            scale = (default if alpha is None else alpha) / rank
        super().__init__(
            in_features,
            out_features,
            rank,
            activation="identity",
            scale=scale,
            base=base,
            preset=preset,
        )
        std_a, std_b = {
            "ntk": (in_features**-0.5, rank**-0.5),
            "released": (0.01, 0.01),
            "paper": (in_features**-0.5, 0.0),
        }[preset]
        draws = Draws(source(generator, seed), dtype, device)
        self.A = nn.Parameter(draws.normal(rank, in_features, std=std_a))
        self.B = nn.Parameter(draws.normal(out_features, rank, std=std_b))

    def factors(self) -> tuple[Float[Tensor, "d r"], Float[Tensor, "r C"]]:
        """Aᵀ and Bᵀ."""
        return self.A.T, self.B.T

    def start_at_zero(self) -> bool:
        """B = 0, as Hu et al.: only B moves at first."""
        self.B.data.zero_()
        return True

    def jacobian_rows(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n C P"]:
        """A and B are W1 and W2 themselves, transposed; σ' = 1."""
        by_a = torch.einsum("cr,nd->ncrd", self.B.detach(), features)
        inner = features @ self.A.detach().T
        by_b = torch.einsum("ce,nr->ncer", torch.eye(self.out_features).to(inner), inner)
        return self.scale * torch.cat([by_a.flatten(2), by_b.flatten(2)], dim=2)

    def block_bytes(self, samples: int, itemsize: int) -> int:
        """None: the gradients are products of what is there already."""
        return 0

    def decoupled(self, features: Float[Tensor, "N d"]) -> Decoupled:
        """K = s² [Φ AᵀA Φᵀ ⊗ I + ΦΦᵀ ⊗ BBᵀ] (eq 23 and theory §3)."""
        a, b = (factor.detach().to(features.dtype) for factor in (self.A, self.B))
        # The scale goes to the small factors, so that the features are used as they are; a product
        # with few rows takes half the time of one with few columns.
        inner = (a @ features.T).T
        return Decoupled(self.scale * inner, features, self.scale * b, self.out_features)

    def function_rank_bound(self, features_rank: int) -> int:
        """min(r, C) rank Φ + (C − min(r, C)) min(r, rank Φ) (theory P3)."""
        through = min(self.width, self.out_features)
        rest = (self.out_features - through) * min(self.width, features_rank)
        return through * features_rank + rest
