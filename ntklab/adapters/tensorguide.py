"""TensorGuide: one train with a Gaussian latent generates both factors (arXiv 2506.16456)."""

from collections.abc import Mapping
from typing import Self

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from ntklab.adapters.head import FactorAdapter
from ntklab.adapters.layer_rows import layer_rows
from ntklab.adapters.presets import Draws, check_preset, source
from ntklab.adapters.spec import AdapterSpec
from ntklab.parallel import alone
from ntklab.tensor_train import (
    Cut,
    TTShape,
    collapse_warnings,
    contract,
    fitting_error,
    plan,
    prime_warnings,
    shifts_pay,
    sweep_bytes,
    tangent_map,
)


class TensorGuide(FactorAdapter):
    """f = base(φ) + scale · σ(φ W1) W2 with [vec W1; vec W2] = TT(z; G) (eq 3).

    State: `cores.k`, buffer `latent`.

    Args:
        in_features: d.
        out_features: C.
        width: M.
        shape: the train, D = M (d + C).
        activation: σ; `identity` under `released`, `relu` otherwise, if None.
        scale: factor of the outputs; sqrt(d/M) under `ntk`, 0.01 under `released`, 1 under
            `paper`, if None.
        base: frozen linear layer or None.
        preset: `ntk` draws all weights with variance 1/d (one train cannot give its two factors
            two variances) and lets `scale` = sqrt(d/M) bring W2 to 1/M, which for any σ is the
            NTK parameterization; see `ntklab.adapters.presets`.
        generator: source of the draws; torch's global one if None.
        seed: of the draws, in place of a generator.
        dtype: of the parameters.
        device: of the parameters.

    Raises:
        InputError: a shape that does not multiply to M (d + C), naming both numbers.

    Example:
        >>> shape = TTShape((1, 2, 2, 1), (16, 16, 257, 32), (1, 2, 2, 1, 1))
        >>> adapter = TensorGuide(512, 2, 4096, shape=shape)
        >>> adapter.parameter_count, adapter.effective_width, adapter.rank_bound(1000)
        (1220, 128, 1175)
    """

    method = "tensorguide"

    uses = frozenset({"width", "in_dims", "out_dims", "tt_ranks", "budget", "activation"})

    @classmethod
    def from_sizes(
        cls, in_features: int, out_features: int, sizes: AdapterSpec, **common: object
    ) -> Self:
        """Width 1024 unless given; the shape from `ntklab.tensor_train.plan`."""
        width = 1024 if sizes.width is None else sizes.width
        planned = plan(
            in_features,
            out_features,
            width,
            ranks=sizes.tt_ranks,
            budget=sizes.budget,
            in_dims=sizes.in_dims,
            out_dims=sizes.out_dims,
        )
        return cls(
            in_features,
            out_features,
            width,
            shape=planned.shape,
            activation=sizes.activation,
            **common,  # type: ignore[arg-type]
        )

    def __init__(
        self,
        in_features: int,
        out_features: int,
        width: int,
        *,
        shape: TTShape,
        activation: str | None = None,
        scale: float | None = None,
        base: nn.Linear | None = None,
        preset: str = "ntk",
        generator: Generator | None = None,
        seed: int | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        check_preset(preset)
        if scale is None:
            ntk_scale = (in_features / max(width, 1)) ** 0.5
            scale = {"ntk": ntk_scale, "released": 0.01, "paper": 1.0}[preset]
        super().__init__(
            in_features,
            out_features,
            width,
            activation=activation or ("identity" if preset == "released" else "relu"),
            scale=scale,
            base=base,
            preset=preset,
        )
        needed = width * (in_features + out_features)
        if shape.out_size != needed:
            raise fitting_error(shape, needed)
        self.shape = shape
        draws = Draws(source(generator, seed), dtype, device)
        self.register_buffer("latent", draws.normal(shape.in_size))
        self.cores = draws.cores(
            shape,
            preset,
            variance=1 / in_features,
            latent=self.latent,
        )

    latent: Tensor

    def factors(self) -> tuple[Float[Tensor, "d M"], Float[Tensor, "M C"]]:
        """W1 and W2, cut from one generated vector."""
        weights = contract(list(self.cores), self.latent)
        cut = self.in_features * self.width
        return (
            weights[:cut].reshape(self.in_features, self.width),
            weights[cut:].reshape(self.width, self.out_features),
        )

    def layer(
        self, features: Float[Tensor, "*N d"]
    ) -> tuple[Float[Tensor, "*N M"], Float[Tensor, "M C"]]:
        """φ W1 and W2 from the train cut at its cheapest bond (`ntklab.tensor_train.Cut`)."""
        cut = Cut.best(list(self.cores), self.latent, self.width)
        above, below = cut.split(self.in_features * self.width)
        return above.times(features), below.weights().reshape(self.width, self.out_features)

    def tangent_map(self) -> Float[Tensor, "D P"]:
        """J_TT of eq 12, from the environments of the cores."""
        return tangent_map([core.detach() for core in self.cores], self.latent)

    def resample_latent(
        self, generator: Generator | None = None, *, seed: int | None = None
    ) -> None:
        """Draw z ~ N(0, I) anew, as Algorithm 1 does for every minibatch."""
        latent = self.latent
        draws = Draws(source(generator, seed), latent.dtype, latent.device)
        latent.copy_(draws.normal(latent.numel()))

    @property
    def degree(self) -> int | None:
        """2: the train enters once through W1 and once through W2 (theory P5)."""
        return 2 if self.activation.homogeneous else None

    @property
    def shapes(self) -> Mapping[str, TTShape]:
        """The one train."""
        return {"cores": self.shape}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Also a collapsed width (theory P2) and primes that unbalance the modes."""
        rows = self.in_features + self.out_features
        return (
            *collapse_warnings(self.shape, self.width),
            *prime_warnings(self.shape, rows=rows, width=self.width),
            *super().warnings,
        )

    @property
    def effective_width(self) -> int:
        """rank W1 that the train can reach (theory P2)."""
        return self.shape.effective_width(self.width)

    @property
    def collapsed(self) -> bool:
        """Whether w = u ⊗ g with g inside the width: r_{K-1} = 1, n_K = 1, m_K | M (theory P2)."""
        shape = self.shape
        return (
            shape.length > 1
            and shape.ranks[-2] == 1
            and shape.in_dims[-1] == 1
            and self.width % shape.out_dims[-1] == 0
        )

    def jacobian_rows(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n C P"]:
        """By the cores, see `ntklab.adapters.layer_rows`."""
        cores, cut, second = self._halves()
        return layer_rows(cores, self.latent, cut, features, second, self.activation, self.scale)

    def basis_pays(self, features: Float[Tensor, "n d"]) -> bool:
        """Not by shifts: they take b multiply-adds, and b < d, where that product takes d."""
        if not super().basis_pays(features):
            return False
        cores, cut, second = self._halves()
        return not shifts_pay(cores, cut, features, second)

    def _halves(self) -> tuple[list[Tensor], Cut, Float[Tensor, "M C"]]:
        """The cores, their train cut for the width, and W2."""
        cores = [core.detach() for core in self.cores]
        with alone():  # too small for more than one thread
            cut = Cut.best(cores, self.latent, self.width)
            below = cut.split(self.in_features * self.width)[1]
            return cores, cut, below.weights().reshape(self.width, self.out_features)

    def block_bytes(self, samples: int, itemsize: int) -> int:
        """One block of the sweep, or all of a small batch."""
        return min(sweep_bytes(self.latent.device), super().block_bytes(samples, itemsize))

    def function_rank_bound(self, features_rank: int) -> int:
        """The train's own bound; for a collapsed width also dim TT(u) + q C² − 1 (theory P2).

        q = 1 for σ = identity and 2 for another positively homogeneous σ, whose two sign
        patterns of g each leave one C × C matrix.
        """
        bound = self.shape.rank_bound
        if self.collapsed and self.activation.homogeneous:
            shape = self.shape
            outer = TTShape(shape.in_dims[:-1], shape.out_dims[:-1], shape.ranks[:-1])
            patterns = 1 if self.linear else 2
            bound = min(bound, outer.rank_bound + patterns * self.out_features**2 - 1)
        return bound
