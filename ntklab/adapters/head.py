"""The two heads: a hidden layer whose factors are generated, and a direct update ΔW."""

from abc import abstractmethod
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.activation import activation_named
from ntklab.adapters.adapter import (
    Adapter,
    FactorTangents,
    Generator,
    dense_tangent,
    trainable,
)
from ntklab.errors import InputError


class FactorAdapter(Adapter):
    """Generates both factors of a hidden layer: f = base(φ) + scale · σ(φ W1) W2.

    Weights are w = [vec W1; vec W2], W1 (d, M), W2 (M, C), row-major, D = M (d + C).
    """

    def __init__(
        self, in_features: int, out_features: int, width: int, *, activation: str, **head: object
    ) -> None:
        super().__init__(in_features, out_features, **head)  # type: ignore[arg-type]
        if width < 1:
            raise InputError(f"width = {width} must be at least 1.")
        self.width: int = width
        self.activation = activation_named(activation)

    @abstractmethod
    def factors(self) -> tuple[Float[Tensor, "d M"], Float[Tensor, "M C"]]:
        """W1 and W2."""

    def layer(
        self, features: Float[Tensor, "*N d"]
    ) -> tuple[Float[Tensor, "*N M"], Float[Tensor, "M C"]]:
        """φ W1 and W2, which is all that the outputs need.

        A subclass may know a way that never forms the d M entries of W1; it must agree with
        `factors` up to rounding, in values and derivatives.
        """
        first, second = self.factors()
        return features @ first, second

    def adapted(self, features: Float[Tensor, "*N d"]) -> Float[Tensor, "*N C"]:
        """σ(φ W1) W2."""
        inner, second = self.layer(features)
        return self.activation.function(inner) @ second

    def jacobian_rows(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n C P"]:
        """∂f/∂θ of a batch: scale · Tᵀ applied to what the hidden layer's outputs need.

        The gradient by W1 is rank one, φ ⊗ (W2[:, c] σ'), and by W2 it is σ ⊗ e_c. A subclass
        knows a shorter way than this one, which forms all D entries of every cotangent.

        Args:
            features: φ, one row a sample.

        Returns:
            Parameters in the order of `parameters()`.
        """
        inner, second = (part.detach() for part in self.layer(features))
        slope, hidden = self.activation.derivative(inner), self.activation.function(inner)
        samples, outputs = len(features), self.out_features
        by_first = torch.einsum("nd,mc,nm->ncdm", features, second, slope)
        by_second = torch.einsum("nm,ce->ncme", hidden, torch.eye(outputs).to(hidden))
        cotangents = torch.cat([by_first.flatten(2), by_second.flatten(2)], dim=2)
        params = {f"adapter.{n}": p.detach() for n, p in trainable(self).items()}
        pull = torch.func.vjp(partial(torch.func.functional_call, Generator(self)), params)[1]
        pulled = torch.func.vmap(pull)(cotangents.flatten(0, 1))[0]
        rows = torch.cat([grad.flatten(1) for grad in pulled.values()], dim=1)
        return self.scale * rows.reshape(samples, outputs, -1)

    def basis_pays(self, features: Float[Tensor, "n d"]) -> bool:
        """Whether rows of a batch are cheaper as φ times the rows of the d basis vectors.

        That takes an f linear in φ, and pays once it halves the rows; a subclass whose rows cost
        less than that product says so.
        """
        return self.linear and len(features) >= 2 * self.in_features

    def block_bytes(self, samples: int, itemsize: int) -> int:
        """Numbers that `jacobian_rows` holds beside its result; here all D C of every cotangent."""
        weights = self.width * (self.in_features + self.out_features)
        return samples * self.out_features * weights * itemsize

    def tangent_map(self) -> Float[Tensor, "D P"]:
        """T = ∂w/∂θ as a dense matrix, columns in the order of `parameters()`."""
        return dense_tangent(self)

    @property
    def moving(self) -> tuple[int, int] | None:
        """All parameters may move both factors."""
        return self.parameter_count, self.parameter_count

    def factor_tangents(self) -> FactorTangents:
        """W1, W2 and T, cut in two."""
        first, second = (factor.detach() for factor in self.factors())
        tangent = self.tangent_map()
        return FactorTangents(
            first,
            second,
            tangent[: first.numel()].reshape(*first.shape, -1),
            tangent[first.numel() :].reshape(*second.shape, -1),
            slice(None),
            slice(None),
        )

    def generate(self) -> Float[Tensor, " D"]:
        """w = [vec W1; vec W2]."""
        return torch.cat([factor.reshape(-1) for factor in self.factors()])

    def update(self) -> Float[Tensor, "d C"]:
        """scale · W1 W2, if σ is the identity."""
        if not self.linear:
            return super().update()
        first, second = self.factors()
        return self.scale * (first @ second)

    @property
    def effective_width(self) -> int:
        """min(M, d), where a subclass knows no less."""
        return min(self.width, self.in_features)

    @property
    def linear(self) -> bool:
        """True when σ is the identity."""
        return self.activation.linear

    @property
    def macs(self) -> int:
        """M (d + C) for the two products."""
        return self.width * (self.in_features + self.out_features)


class DeltaAdapter(Adapter):
    """Generates the update itself: f = base(φ) + scale · φ ΔW, ΔW (d, C), D = d C."""

    @abstractmethod
    def delta(self) -> Float[Tensor, "d C"]:
        """ΔW before `scale`."""

    def update_tangent(self) -> Float[Tensor, "d C P"]:
        """∂ΔW/∂θ, columns in the order of `parameters()`; forward mode unless a subclass knows."""
        return dense_tangent(self).reshape(self.in_features, self.out_features, -1)

    def adapted(self, features: Float[Tensor, "*N d"]) -> Float[Tensor, "*N C"]:
        """φ ΔW."""
        return features @ self.delta()

    def update(self) -> Float[Tensor, "d C"]:
        """scale · ΔW."""
        return self.scale * self.delta()

    def generate(self) -> Float[Tensor, " D"]:
        """w = vec ΔW."""
        return self.delta().reshape(-1)

    @property
    def linear(self) -> bool:
        """Always true."""
        return True

    @property
    def macs(self) -> int:
        """d C for one product."""
        return self.in_features * self.out_features
