"""The input of a check: one adapter class at one size, preset and seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.adapters import PRESETS, SIZES, Adapter, AdapterSpec
from ntklab.adapters.activation import ACTIVATIONS
from ntklab.errors import unknown


@dataclass(frozen=True)
class Case:
    """An adapter class with everything that building one needs.

    Attributes:
        adapter: the class under test.
        in_features: d.
        out_features: C.
        sizes: those that the class uses; the others are None.
        preset: the initialization.
        seed: of the parameters.
        scale: factor of the adapted part; the preset's if None.
    """

    adapter: type[Adapter]
    in_features: int
    out_features: int
    sizes: AdapterSpec
    preset: str
    seed: int
    scale: float | None = None

    def build(
        self,
        *,
        seed: int | None = None,
        dtype: torch.dtype = torch.float64,
        base: nn.Linear | None = None,
    ) -> Adapter:
        """The adapter of this case, another seed or dtype if asked."""
        generator = torch.Generator().manual_seed(self.seed if seed is None else seed)
        return self.adapter.from_sizes(
            self.in_features,
            self.out_features,
            self.sizes,
            scale=self.scale,
            base=base,
            preset=self.preset,
            generator=generator,
            dtype=dtype,
            device=None,
        )

    def generic(self) -> Adapter:
        """The adapter with every trainable entry drawn from N(0, 1): no zero start hides a term."""
        adapter, generator = self.build(), torch.Generator().manual_seed(self.seed + 1)
        for parameter in adapter.parameters():
            if parameter.requires_grad:
                draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.data.copy_(draw)
        return adapter

    def both(self) -> tuple[Adapter, Adapter]:
        """As it starts, and at a generic point."""
        return self.build(), self.generic()

    def features(self, n: int, rank: int | None = None) -> Float[Tensor, "n d"]:
        """n samples of Gaussian features in float64, of the given rank if one is asked for."""
        generator = torch.Generator().manual_seed(1000 + n)
        draw = torch.randn(n, self.in_features, generator=generator, dtype=torch.float64)
        if rank is None:
            return draw
        spread = torch.randn(rank, self.in_features, generator=generator, dtype=torch.float64)
        return draw[:, :rank] @ spread

    def base(self) -> nn.Linear:
        """A base layer that would train if nobody froze it."""
        layer = nn.Linear(self.in_features, self.out_features, dtype=torch.float64)
        generator = torch.Generator().manual_seed(7)
        for parameter in layer.parameters():
            parameter.data.normal_(generator=generator)
        return layer

    def __str__(self) -> str:
        sizes = ", ".join(f"{name} = {value}" for name, value in self.sizes.sizes.items())
        return (
            f"{self.adapter.__name__} of {self.in_features} features and {self.out_features} "
            f"outputs, {sizes or 'no sizes'}, preset {self.preset}, seed {self.seed}"
        )


def cases(
    adapter: type[Adapter], shapes: Sequence[tuple[int, int]], sizes: Mapping[str, Any]
) -> list[Case]:
    """Every shape under every preset, each with its own seed, and every activation if one is used.

    Every second case has a scale of its own: an adapter whose default is 1 hides a forgotten one.

    Example:
        >>> from ntklab.adapters import LoRA
        >>> print(cases(LoRA, [(6, 2)], {"rank": 3, "width": 8})[0])
        LoRA of 6 features and 2 outputs, rank = 3, preset ntk, seed 0
    """
    if strange := sorted(sizes.keys() - set(SIZES)):
        raise unknown("size", strange[0], SIZES)
    own = AdapterSpec(adapter.method).with_(
        **{name: value for name, value in sizes.items() if name in adapter.uses}
    )
    pairs = [(shape, preset) for shape in shapes for preset in PRESETS]
    cases = [
        Case(adapter, *shape, own, preset, seed, scale=0.7 if seed % 2 else None)
        for seed, (shape, preset) in enumerate(pairs)
    ]
    if "activation" in adapter.uses and own.activation is None:
        seeds = range(len(cases), len(cases) + len(ACTIVATIONS))
        cases += [
            Case(adapter, *shapes[0], replace(own, activation=name), "ntk", seed)
            for name, seed in zip(ACTIVATIONS, seeds, strict=True)
        ]
    return cases
