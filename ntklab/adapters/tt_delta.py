"""TT-delta: the update itself as a tensor train (TT-LoRA of arXiv 2408.01008)."""

from collections.abc import Mapping
from itertools import accumulate
from math import prod
from operator import mul
from typing import Self

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from ntklab.adapters.adapter import FactorTangents
from ntklab.adapters.head import DeltaAdapter
from ntklab.adapters.presets import Draws, check_preset, largest, source
from ntklab.adapters.spec import AdapterSpec
from ntklab.errors import InputError
from ntklab.tensor_train import (
    TTShape,
    contract,
    fitting_error,
    plan_factor,
    plan_matrix,
    tangent_map,
)


class TTDelta(DeltaAdapter):
    """f = base(φ) + scale · φ ΔW, vec ΔW = TT(G), a plain train without latent (eq 2).

    State: `cores.k` (r_{k-1}, m_k, r_k).

    Args:
        in_features: d.
        out_features: C.
        shape: a plain train (all in-dims 1), D = d C.
        scale: factor α of the update; 1 if None.
        base: frozen linear layer or None.
        preset: `ntk` aims at Var ΔW = 1/d; see `ntklab.adapters.presets`.
        generator: source of the draws; torch's global one if None.
        seed: of the draws, in place of a generator.
        dtype: of the parameters.
        device: of the parameters.

    Raises:
        InputError: in-dims other than 1, or out-dims that do not multiply to d C.

    Example:
        >>> shape = TTShape.plain((16, 32, 2), (1, 4, 2, 1))
        >>> TTDelta(512, 2, shape=shape).delta().shape
        torch.Size([512, 2])
    """

    method = "tt-delta"

    uses = frozenset({"rank", "out_dims", "tt_ranks", "budget"})

    @classmethod
    def from_sizes(
        cls, in_features: int, out_features: int, sizes: AdapterSpec, **common: object
    ) -> Self:
        """TT-ranks 4 unless given; modes with a bond on the cut between inputs and outputs."""
        chosen = sizes.rank if sizes.tt_ranks is None else sizes.tt_ranks
        ranks = 4 if chosen is None and sizes.budget is None else chosen
        if sizes.out_dims is None:
            planned = plan_matrix(in_features, out_features, ranks=ranks, budget=sizes.budget)
        else:
            planned = plan_factor(
                in_features * out_features,
                ranks=ranks,
                budget=sizes.budget,
                out_dims=sizes.out_dims,
            )
        return cls(in_features, out_features, shape=planned.shape, **common)  # type: ignore[arg-type]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        shape: TTShape,
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
        if shape.in_size != 1:
            raise InputError(
                f"in-dims {list(shape.in_dims)} must all be 1: tt-delta has no latent."
            )
        needed = in_features * out_features
        if shape.out_size != needed:
            raise fitting_error(shape, needed)
        self.shape = shape
        draws = Draws(source(generator, seed), dtype, device)
        drawn = draws.cores(shape, preset, variance=1 / in_features)
        self.cores = nn.ParameterList([nn.Parameter(core.detach().squeeze(1)) for core in drawn])

    def start_at_zero(self) -> bool:
        """Its largest core is zero: only that one moves at first."""
        largest(self.cores).data.zero_()
        return True

    def delta(self) -> Float[Tensor, "d C"]:
        """ΔW, contracted from the cores."""
        cores = [core.unsqueeze(1) for core in self.cores]
        return contract(cores, cores[0].new_ones(1)).reshape(self.in_features, self.out_features)

    @property
    def moving(self) -> tuple[int, int] | None:
        """Cores left and right of the cut between inputs and outputs, if a bond falls on it."""
        if (cut := self._cut) is None:
            return None
        left = sum(prod(size) for size in self.shape.core_shapes[:cut])
        return left, self.shape.parameters - left

    def factor_tangents(self) -> FactorTangents:
        """ΔW = L R at the bond between inputs and outputs, each side with its own tangent map."""
        left, latent = self._cut, self.cores[0].new_ones(1)
        if left is None:
            raise InputError(
                f"out-dims {list(self.shape.out_dims)} have no bond between the "
                f"{self.in_features} inputs and the outputs, so ΔW has no factors there."
            )
        cores = [core.detach().unsqueeze(1) for core in self.cores]
        rank = cores[left].shape[0]
        # An open bond is one more mode of the core beside it.
        ahead = [*cores[: left - 1], cores[left - 1].flatten(2).unsqueeze(-1)]
        behind = [cores[left].permute(1, 0, 2, 3).flatten(1, 2).unsqueeze(0), *cores[left + 1 :]]
        shape1, shape2 = (self.in_features, rank), (rank, self.out_features)
        return FactorTangents(
            contract(ahead, latent).reshape(shape1),
            contract(behind, latent).reshape(shape2),
            tangent_map(ahead, latent).reshape(*shape1, -1),
            tangent_map(behind, latent).reshape(*shape2, -1),
            slice(None, sum(core.numel() for core in ahead)),
            slice(sum(core.numel() for core in ahead), None),
        )

    @property
    def _cut(self) -> int | None:
        """k with m_1⋯m_k = d, if a bond lies there."""
        sizes = list(accumulate(self.shape.out_dims, mul))[:-1]
        return sizes.index(self.in_features) + 1 if self.in_features in sizes else None

    @property
    def shapes(self) -> Mapping[str, TTShape]:
        """The one train."""
        return {"cores": self.shape}

    def update_tangent(self) -> Float[Tensor, "d C P"]:
        """The train's own tangent map."""
        cores = [core.detach().unsqueeze(1) for core in self.cores]
        tangent = tangent_map(cores, cores[0].new_ones(1))
        return tangent.reshape(self.in_features, self.out_features, -1)

    def function_rank_bound(self, features_rank: int) -> int:
        """The dimension of the train's variety (theory P1)."""
        return self.shape.rank_bound
