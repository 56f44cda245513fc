"""The interface of an adapter: f(x) = base(φ) + scale · (adapted part), weights from θ."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.adapters.base_layer import layer_sizes
from ntklab.adapters.spec import AdapterSpec
from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.tensor_train import TTShape, idle_rank_warnings


@dataclass(frozen=True, repr=False)
class Decoupled(ShortRepr):
    """K = shared sharedᵀ ⊗ I_C + coupled coupledᵀ ⊗ factor factorᵀ, scale included.

    The eigenvectors of factor factorᵀ decouple the outputs: its eigenvalue β contributes the
    spectrum of shared sharedᵀ + β coupled coupledᵀ, N × N, once for every time it occurs.

    Attributes:
        shared: shape (N, k).
        coupled: shape (N, l), or None where the outputs share everything.
        factor: shape (C, r), or None.
        n_outputs: C.
    """

    shared: Float[Tensor, "N k"]
    coupled: Float[Tensor, "N l"] | None
    factor: Float[Tensor, "C r"] | None
    n_outputs: int


@dataclass(frozen=True, repr=False)
class FactorTangents(ShortRepr):
    """Both factors of a head and how the parameters move them.

    Attributes:
        first: W1, shape (d, M).
        second: W2, shape (M, C).
        by_first: ∂W1/∂θ, shape (d, M, P1), for the parameters in `first_columns`.
        by_second: ∂W2/∂θ, shape (M, C, P2), for the parameters in `second_columns`.
        first_columns: which of all P parameters move W1.
        second_columns: which move W2.
    """

    first: Float[Tensor, "d M"]
    second: Float[Tensor, "M C"]
    by_first: Float[Tensor, "d M P1"]
    by_second: Float[Tensor, "M C P2"]
    first_columns: slice
    second_columns: slice

    @staticmethod
    def count(d: int, width: int, outputs: int, moving: tuple[int, int]) -> int:
        """How many numbers the two tangents hold."""
        return width * (d * moving[0] + outputs * moving[1])


class Adapter(nn.Module, ABC):
    """A trainable map from frozen features φ (N, d) to outputs f (N, C).

    A subclass generates dense weights w(θ) from its parameters θ; everything else (kernels,
    bounds, training) needs nothing more than this class. The base layer, if any, is frozen and
    leaves no trace in the kernel.

    Attributes:
        method: the registry and command-line name.
        uses: the sizes of `AdapterSpec` that shape it.
        in_features: d.
        out_features: C.
        scale: factor of the adapted part.
        preset: the initialization, see `ntklab.adapters.presets`.
        width: M, the hidden width of the generated network; None for a direct ΔW.
        inside_a_model: whether it stands in the place of its base layer, see
            `ntklab.adapters.inject`.
        spec: what `build_adapter` made it from; None where a constructor was called.
    """

    method: ClassVar[str]
    uses: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    @abstractmethod
    def from_sizes(
        cls, in_features: int, out_features: int, sizes: AdapterSpec, **common: object
    ) -> Self:
        """An adapter of the given sizes; what is left out is planned.

        Args:
            in_features: d.
            out_features: C.
            sizes: those in `uses` count.
            **common: scale, base, preset, generator, dtype, device.
        """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        scale: float,
        base: nn.Linear | None,
        preset: str,
    ) -> None:
        super().__init__()
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if value < 1:
                raise InputError(f"{name} = {value} must be at least 1.")
        if not math.isfinite(scale):
            raise InputError(f"scale = {scale} must be a finite number.")
        if base is not None and (sizes := layer_sizes(base)) != (in_features, out_features):
            raise InputError(
                f"the base layer maps {sizes[0]} to {sizes[1]} features, but the "
                f"adapter maps {in_features} to {out_features}: give a base of the same shape."
            )
        self.in_features, self.out_features = in_features, out_features
        self.scale, self.preset = float(scale), preset
        self.width: int | None = None
        self.inside_a_model = False
        self.spec: AdapterSpec | None = None
        self.base = None if base is None else base.requires_grad_(False)

    def forward(self, features: Float[Tensor, "*N d"]) -> Float[Tensor, "*N C"]:
        """f(x) = base(φ) + scale · adapted(φ)."""
        adapted = self.scale * self.adapted(features)
        return adapted if self.base is None else self.base(features) + adapted

    @abstractmethod
    def adapted(self, features: Float[Tensor, "*N d"]) -> Float[Tensor, "*N C"]:
        """The trainable part of the outputs, before `scale`."""

    @abstractmethod
    def generate(self) -> Float[Tensor, " D"]:
        """w(θ): the dense weights that the adapter generates, flat and row-major."""

    def update(self) -> Float[Tensor, "d C"]:
        """scale · ΔW of an adapter that is linear in φ: what folds into the base's weight.

        Cost: one call on the d basis vectors, unless a subclass knows better.
        """
        own = next(p for p in self.parameters() if p.requires_grad)
        basis = torch.eye(self.in_features, dtype=own.dtype, device=own.device)
        return self.scale * self.adapted(basis)

    def start_at_zero(self) -> bool:
        """Set a factor to zero so that ΔW = 0 and some gradient is left, where there is one.

        Returns:
            Whether that was possible. If not, an injected adapter subtracts its own start.
        """
        return False

    @property
    def sharing_key(self) -> tuple[object, ...] | None:
        """Equal keys: frozen tensors that layers of one model may share; None: nothing to share."""
        return None

    def share(self, owner: Self) -> None:
        """Use the frozen tensors of `owner`, an adapter with an equal `sharing_key`."""
        raise NotImplementedError(f"{type(self).__name__} has nothing to share")

    @property
    @abstractmethod
    def linear(self) -> bool:
        """Whether f − base is linear in φ (then rank K ≤ C · rank Φ, theory P3)."""

    @property
    def degree(self) -> int | None:
        """Degree in which f − base is homogeneous in each core: J_k G_k = degree · (f − base).

        Euler's identity (theory P5); None where σ is not homogeneous.
        """
        return 1

    @property
    def shapes(self) -> Mapping[str, TTShape]:
        """The tensor trains inside, by the name of their cores; empty where there are none."""
        return {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the shapes, to read before training; whole sentences."""
        return tuple(w for shape in self.shapes.values() for w in idle_rank_warnings(shape))

    @property
    def parameter_count(self) -> int:
        """P, the trainable entries."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-adds of the adapted part for one sample, weights already generated."""

    @property
    def effective_width(self) -> int | None:
        """The largest rank of W1 that the generator can reach (theory P2); None for a ΔW."""
        return None

    def decoupled(self, features: Float[Tensor, "N d"]) -> "Decoupled | None":
        """The kernel as a class-decoupled sum, where the adapter has one (theory §3)."""
        return None

    @property
    def moving(self) -> tuple[int, int] | None:
        """How many parameters move W1 and W2, for adapters with `factor_tangents`; else None."""
        return None

    def factor_tangents(self) -> FactorTangents:
        """The factors and their derivatives, where `moving` says that there are any.

        Memory: `FactorTangents.count` numbers.
        """
        raise NotImplementedError

    def update_gram(self, moment: Float[Tensor, "d d"]) -> Float[Tensor, "P P"] | None:
        """⟨∂ΔW/∂θ_p, moment ∂ΔW/∂θ_q⟩, where a ΔW has a way that never forms its d C entries."""
        return None

    @abstractmethod
    def function_rank_bound(self, features_rank: int) -> int:
        """Upper bound on rank J over any inputs whose features span `features_rank` dimensions."""

    def rank_bound(self, n_samples: int, features_rank: int | None = None) -> int:
        """Upper bound on rank K for N samples (theory P1–P3); a measured rank above it is a bug.

        Args:
            n_samples: N.
            features_rank: rank Φ if known; min(N, d) otherwise.
        """
        rank = min(n_samples, self.in_features)
        rank = rank if features_rank is None else min(rank, features_rank)
        bound = min(n_samples * self.out_features, self.function_rank_bound(rank))
        return min(bound, self.out_features * rank) if self.linear else bound

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        """Inside a model also `weight` and `bias` of the base: code there asks their dtype."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name not in ("weight", "bias") or not self.__dict__.get("inside_a_model"):
                raise
            tensor: Tensor = getattr(self.base, name)
            return tensor

    def extra_repr(self) -> str:
        """Sizes, as `print(model)` shows them."""
        width = "" if self.effective_width is None else f", effective width {self.effective_width}"
        sizes = f"d = {self.in_features}, C = {self.out_features}"
        return f"{sizes}, P = {self.parameter_count}{width}"

    def describe(self) -> dict[str, object]:
        """Sizes and warnings of an adapter as one flat row of JSON data."""
        return {
            "method": self.method,
            "in_features": self.in_features,
            "out_features": self.out_features,
            "width": self.width,
            "effective_width": self.effective_width,
            "preset": self.preset,
            "scale": self.scale,
            "linear": self.linear,
            "parameters": self.parameter_count,
            "macs": self.macs,
            "shapes": {name: str(shape) for name, shape in self.shapes.items()},
        }


class Generator(nn.Module):
    """θ → w as a module's forward, which `torch.func.functional_call` can take apart."""

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self.adapter = adapter

    def forward(self) -> Tensor:
        return self.adapter.generate()


def dense_tangent(adapter: Adapter) -> Float[Tensor, "D P"]:
    """∂w/∂θ by forward mode, which suits D ≫ P."""
    params = {f"adapter.{n}": p.detach() for n, p in trainable(adapter).items()}
    generate = partial(torch.func.functional_call, Generator(adapter))
    tangents = torch.func.jacfwd(generate)(params)
    return torch.cat([tangent.flatten(1) for tangent in tangents.values()], dim=1)


def trainable(module: nn.Module) -> dict[str, Tensor]:
    """The parameters that are trained, by name and in order."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}
