"""Adapters with nothing but what the base classes demand conform: the defaults are right."""

import pytest
import torch
from torch import nn

from ntklab.adapters import Adapter, DeltaAdapter, FactorAdapter, TTDelta
from ntklab.adapters.presets import Draws, check_preset
from ntklab.errors import InputError
from ntklab.jacobians import jacobian
from ntklab.tensor_train import TTShape
from ntklab.testing import CHECKS, check_adapter


class ScaledFactors(FactorAdapter):
    """W1 = diag(a) U, W2 = V diag(b): frozen random factors, trained scalings (as VeRA)."""

    method = "scaled-factors"
    uses = frozenset({"width", "activation"})

    @classmethod
    def from_sizes(cls, in_features, out_features, sizes, **common):
        return cls(in_features, out_features, sizes.width, sizes.activation, **common)

    def __init__(
        self,
        in_features,
        out_features,
        width,
        activation=None,
        *,
        scale=None,
        base=None,
        preset="ntk",
        generator=None,
        dtype=None,
        device=None,
    ):
        super().__init__(
            in_features,
            out_features,
            width,
            activation=activation or "relu",
            scale=1.0 if scale is None else scale,
            base=base,
            preset=check_preset(preset),
        )
        draws = Draws(generator, dtype, device)
        self.register_buffer("first", draws.normal(in_features, width))
        self.register_buffer("second", draws.normal(width, out_features))
        self.rows = nn.Parameter(draws.normal(in_features))
        self.columns = nn.Parameter(draws.normal(out_features))

    @property
    def degree(self):
        return 1 if self.activation.homogeneous else None

    def factors(self):
        return self.rows.unsqueeze(1) * self.first, self.second * self.columns

    def function_rank_bound(self, features_rank):
        return self.parameter_count


class Diagonal(DeltaAdapter):
    """ΔW = U diag(s) V with one trained vector."""

    method = "diagonal"
    uses = frozenset({"rank"})

    @classmethod
    def from_sizes(cls, in_features, out_features, sizes, **common):
        return cls(in_features, out_features, sizes.rank, **common)

    def __init__(
        self,
        in_features,
        out_features,
        rank,
        *,
        scale=None,
        base=None,
        preset="ntk",
        generator=None,
        dtype=None,
        device=None,
    ):
        super().__init__(
            in_features,
            out_features,
            scale=1.0 if scale is None else scale,
            base=base,
            preset=check_preset(preset),
        )
        if rank < 1:
            raise InputError(f"rank = {rank} must be at least 1.")
        draws = Draws(generator, dtype, device)
        self.register_buffer("left", draws.normal(in_features, rank))
        self.register_buffer("right", draws.normal(rank, out_features))
        self.values = nn.Parameter(draws.normal(rank))

    def delta(self):
        return self.left * self.values @ self.right

    def function_rank_bound(self, features_rank):
        return self.parameter_count


class Affine(Adapter):
    """Neither factors nor a ΔW: a trained bias, which no closed form knows."""

    method = "affine"
    linear = False
    macs = 1

    @classmethod
    def from_sizes(cls, in_features, out_features, sizes, **common):
        return cls(in_features, out_features, **common)

    def __init__(
        self,
        in_features,
        out_features,
        *,
        scale=None,
        base=None,
        preset="ntk",
        generator=None,
        dtype=None,
        device=None,
    ):
        scale = 1.0 if scale is None else scale
        super().__init__(
            in_features, out_features, scale=scale, base=base, preset=check_preset(preset)
        )
        self.bias = nn.Parameter(Draws(generator, dtype, device).normal(out_features))

    def adapted(self, features):
        return self.bias.expand(*features.shape[:-1], -1)

    def generate(self):
        return self.bias.reshape(-1)

    def function_rank_bound(self, features_rank):
        return self.out_features


@pytest.mark.parametrize("adapter", [ScaledFactors, Diagonal, Affine])
def test_what_the_base_classes_demand_is_enough(adapter):
    assert check_adapter(adapter) == list(CHECKS)


def test_the_default_rows_are_structured():
    head = ScaledFactors(6, 2, 8, dtype=torch.float64)
    features = torch.randn(4, 6, dtype=torch.float64)
    J = jacobian(head, features)
    assert J.engine.name == "structured"
    truth = jacobian(head, features, engine="loop").dense()
    torch.testing.assert_close(J.dense(), truth, rtol=1e-11, atol=1e-13)


def test_an_adapter_of_another_kind_goes_by_jacrev():
    assert jacobian(Affine(3, 2), torch.randn(2, 3)).engine.name == "jacrev"


@pytest.mark.parametrize("outputs", [3, 40])
def test_a_train_without_a_bond_at_the_cut(outputs):
    """No bond between inputs and outputs: the dual Gram matrix is still that of the rows."""
    d = 6
    shape = TTShape.plain((4, d * outputs // 4) if outputs > 3 else (9, 2), (1, 2, 1))
    head = TTDelta(d, outputs, shape=shape, dtype=torch.float64)
    assert head.moving is None
    with pytest.raises(InputError, match="no bond between the 6 inputs and the outputs"):
        head.factor_tangents()
    features = torch.randn(5, d, dtype=torch.float64)
    rows = jacobian(head, features, engine="loop").dense()
    torch.testing.assert_close(jacobian(head, features).dual_gram(), rows.T @ rows)
