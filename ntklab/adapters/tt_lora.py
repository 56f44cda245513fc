"""TT-LoRA: each LoRA factor in tensor-train format (TensorGuide paper, §2.3)."""

from collections.abc import Mapping
from typing import Self

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from ntklab.adapters.adapter import FactorTangents
from ntklab.adapters.head import FactorAdapter
from ntklab.adapters.layer_rows import layer_rows
from ntklab.adapters.presets import Draws, check_preset, largest, source
from ntklab.adapters.spec import AdapterSpec
from ntklab.tensor_train import (
    Cut,
    TTShape,
    balanced_modes,
    contract,
    fitting_error,
    plan_factor,
    sweep_bytes,
    tangent_map,
)


class TTLoRA(FactorAdapter):
    """f = base(φ) + scale · φ W1 W2, each factor a train with its own latent (eq 3, twice).

    State: `cores1.k`, `cores2.k`; buffers `latent1`, `latent2`.

    Args:
        in_features: d.
        out_features: C.
        rank: M, the inner dimension of the two factors.
        shape1: train of W1, D1 = d M.
        shape2: train of W2, D2 = M C.
        scale: factor of the update; 1 if None.
        base: frozen linear layer or None.
        preset: `ntk` aims at Var W1 = 1/d and Var W2 = 1/M; see `ntklab.adapters.presets`.
        generator: source of the draws; torch's global one if None.
        seed: of the draws, in place of a generator.
        dtype: of the parameters.
        device: of the parameters.

    Raises:
        InputError: a shape that does not multiply to its factor's size, naming both numbers.

    Example:
        The adapter that the TensorGuide authors compare with:

        >>> first = TTShape((8, 8, 8), (8, 8, 80), (1, 2, 2, 1))
        >>> second = TTShape((4, 5), (10, 2), (1, 2, 1))
        >>> adapter = TTLoRA(512, 2, 10, shape1=first, shape2=second)
        >>> adapter.parameter_count, adapter.function_rank_bound(512)
        (1764, 632)
    """

    method = "tt-lora"

    uses = frozenset({"rank", "tt_ranks"})

    @classmethod
    def from_sizes(
        cls, in_features: int, out_features: int, sizes: AdapterSpec, **common: object
    ) -> Self:
        """Inner dimension 10 and ranks 2 unless given; modes by the authors' pattern.

        Factor 1 has three modes of d, the last times M, over a latent with the modes of d;
        factor 2 has modes M and C over a latent of two balanced modes of M C. For 512 features,
        2 outputs and M = 10 these are the released shapes. With more outputs than features that
        latent would outgrow the factor, which is then a balanced plain train. `tt_ranks` are those
        of factor 1; factor 2 has their largest at every bond.
        """
        rank = 10 if sizes.rank is None else sizes.rank
        length = 3 if sizes.tt_ranks is None else len(sizes.tt_ranks) - 1
        ranks = (1, 2, 2, 1) if sizes.tt_ranks is None else sizes.tt_ranks
        modes = balanced_modes(in_features, length)
        shape1 = TTShape(modes, (*modes[:-1], modes[-1] * rank), ranks)
        if out_features > in_features:
            shape2 = plan_factor(rank * out_features, ranks=max(ranks)).shape
        else:
            latent2 = balanced_modes(rank * out_features, 2)
            shape2 = TTShape(latent2, (rank, out_features), (1, max(ranks), 1))
        return cls(
            in_features,
            out_features,
            rank,
            shape1=shape1,
            shape2=shape2,
            **common,  # type: ignore[arg-type]
        )

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rank: int,
        *,
        shape1: TTShape,
        shape2: TTShape,
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
            rank,
            activation="identity",
            scale=1.0 if scale is None else scale,
            base=base,
            preset=check_preset(preset),
        )
        for shape, needed in ((shape1, in_features * rank), (shape2, rank * out_features)):
            if shape.out_size != needed:
                raise fitting_error(shape, needed)
        self.shape1, self.shape2 = shape1, shape2
        draws = Draws(source(generator, seed), dtype, device)
        self.register_buffer("latent1", draws.normal(shape1.in_size))
        self.register_buffer("latent2", draws.normal(shape2.in_size))
        self.cores1 = draws.cores(
            shape1,
            preset,
            variance=1 / in_features,
            latent=self.latent1,
        )
        self.cores2 = draws.cores(
            shape2,
            preset,
            variance=1 / rank,
            latent=self.latent2,
        )

    latent1: Tensor
    latent2: Tensor

    def factors(self) -> tuple[Float[Tensor, "d M"], Float[Tensor, "M C"]]:
        """W1 and W2, each generated by its own train."""
        first = contract(list(self.cores1), self.latent1)
        second = contract(list(self.cores2), self.latent2)
        return (
            first.reshape(self.in_features, self.width),
            second.reshape(self.width, self.out_features),
        )

    def start_at_zero(self) -> bool:
        """W2 = 0 by its largest core, as LoRA's B: only that core moves at first."""
        largest(self.cores2).data.zero_()
        return True

    def layer(
        self, features: Float[Tensor, "*N d"]
    ) -> tuple[Float[Tensor, "*N M"], Float[Tensor, "M C"]]:
        """φ W1 from its train cut at the cheapest bond, and W2."""
        first = Cut.best(list(self.cores1), self.latent1, self.width)
        second = Cut.best(list(self.cores2), self.latent2)
        return first.times(features), second.weights().reshape(self.width, self.out_features)

    @property
    def moving(self) -> tuple[int, int]:
        """Each train moves its own factor."""
        return self.shape1.parameters, self.shape2.parameters

    def factor_tangents(self) -> FactorTangents:
        """Both factors, each with the tangent map of its own train."""
        first, second = (factor.detach() for factor in self.factors())
        by_first = tangent_map([core.detach() for core in self.cores1], self.latent1)
        by_second = tangent_map([core.detach() for core in self.cores2], self.latent2)
        return FactorTangents(
            first,
            second,
            by_first.reshape(*first.shape, -1),
            by_second.reshape(*second.shape, -1),
            slice(None, self.shape1.parameters),
            slice(self.shape1.parameters, None),
        )

    @property
    def shapes(self) -> Mapping[str, TTShape]:
        """The two trains."""
        return {"cores1": self.shape1, "cores2": self.shape2}

    @property
    def effective_width(self) -> int:
        """rank W1 that factor 1 can reach (theory P2)."""
        return self.shape1.effective_width(self.width)

    def jacobian_rows(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n C P"]:
        """Factor 1 by its cores; factor 2 is small enough for a dense tangent map."""
        cores1 = [core.detach() for core in self.cores1]
        cores2 = [core.detach() for core in self.cores2]
        second = contract(cores2, self.latent2).reshape(self.width, self.out_features)
        cut = Cut.best(cores1, self.latent1, self.width)
        by_1 = layer_rows(cores1, self.latent1, cut, features, second, self.activation, self.scale)
        tangent = tangent_map(cores2, self.latent2).reshape(*second.shape, -1)
        by_2 = torch.einsum("jcp,nj->ncp", self.scale * tangent, self.layer(features)[0].detach())
        return torch.cat([by_1, by_2], dim=2)

    def block_bytes(self, samples: int, itemsize: int) -> int:
        """One block of the sweep, or all of a small batch."""
        return min(sweep_bytes(self.latent1.device), super().block_bytes(samples, itemsize))

    def function_rank_bound(self, features_rank: int) -> int:
        """Least of the two trains' own bounds and of W1's train with W2 absorbed (theory P3).

        When M divides the last mode of W1, multiplying by W2 turns that mode m_K into m_K C / M:
        every ΔW lies in that smaller family.
        """
        bound = self.shape1.rank_bound + self.shape2.rank_bound
        last = self.shape1.out_dims[-1]
        if last % self.width == 0:
            absorbed = last // self.width * self.out_features
            shape = TTShape(
                self.shape1.in_dims, (*self.shape1.out_dims[:-1], absorbed), self.shape1.ranks
            )
            bound = min(bound, shape.rank_bound)
        return bound
