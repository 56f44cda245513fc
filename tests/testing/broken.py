"""Adapters that are broken in one way each, with the check that must say so."""

from dataclasses import replace

import torch
from torch import nn

from ntklab.adapters import LinearProbe, LoRA, TensorGuide, TeRA, TTDelta, TTLoRA
from ntklab.adapters.activation import Activation


class WrongDegree(TensorGuide):
    degree = 1


class ForgetsScaleInJacobian(LoRA):
    def jacobian_rows(self, features):
        return super().jacobian_rows(features) / self.scale


class SwapsFactorsInJacobian(LoRA):
    def jacobian_rows(self, features):
        return super().jacobian_rows(features).flip(2)


class WrongTangent(TTDelta):
    def update_tangent(self):
        return super().update_tangent() * 1.0001


class WrongTangentMap(TensorGuide):
    def tangent_map(self):
        return super().tangent_map().flip(1)


class WrongMoving(TTLoRA):
    moving = (1, 1)


class WrongFactorTangents(TTDelta):
    def factor_tangents(self):
        right = super().factor_tangents()
        return replace(right, second=1.5 * right.second)


class WrongUpdateGram(TeRA):
    def update_gram(self, moment):
        return super().update_gram(moment + 0.01 * torch.eye(len(moment)).to(moment))


class DecoupledForDoublesOnly(LoRA):
    def decoupled(self, features):
        return super().decoupled(features) if features @ self.A.T is not None else None


class RoundsOnTheWay(LinearProbe):
    def decoupled(self, features):
        if self.weight.dtype == torch.float64:
            return super().decoupled(features)
        return super().decoupled(features.bfloat16().to(features))


class TrainableBase(LoRA):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.base is not None:
            self.base.requires_grad_(True)


class ScaledBase(LinearProbe):
    def forward(self, features):
        bare = self.scale * self.adapted(features)
        return bare if self.base is None else self.scale * self.base(features) + bare


class RankBoundTooSmall(TTLoRA):
    def function_rank_bound(self, features_rank):
        return super().function_rank_bound(features_rank) - 1


class RankBoundIgnoresFeatures(TTDelta):
    # Right for features of full rank, too small never; the overridden sum is what must be caught.
    def rank_bound(self, n_samples, features_rank=None):
        bound = super().rank_bound(n_samples, features_rank)
        return bound if features_rank is None else bound // 2


class SaysLinear(TensorGuide):
    linear = True


class SaysNonlinear(LoRA):
    linear = False


class LatentNotInState(TensorGuide):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("latent", self.latent, persistent=False)


class IgnoresGenerator(LoRA):
    def __init__(self, *args, generator=None, **kwargs):
        super().__init__(*args, generator=None, **kwargs)


class FixedSeed(LoRA):
    def __init__(self, *args, generator=None, **kwargs):
        super().__init__(*args, generator=torch.Generator().manual_seed(0), **kwargs)


class DrawsInItsOwnDtype(LinearProbe):
    def __init__(self, *args, generator=None, dtype=None, **kwargs):
        super().__init__(*args, generator=generator, dtype=dtype, **kwargs)
        self.weight.data = torch.randn(self.weight.shape, generator=generator, dtype=dtype)


class AlwaysFloat32(TeRA):
    def __init__(self, *args, dtype=None, **kwargs):
        super().__init__(*args, dtype=torch.float32, **kwargs)


class CountsTheBase(LoRA):
    @property
    def parameter_count(self):
        return sum(p.numel() for p in self.parameters())


class CountsWrong(LoRA):
    parameter_count = 7


class GeneratesColumnMajor(LinearProbe):
    def generate(self):
        return self.delta().T.reshape(-1)


class GeneratesOtherOrder(LoRA):
    def generate(self):
        return super().generate().flip(0)


class WidthTooSmall(LoRA):
    effective_width = 2


class DescribesTensors(LoRA):
    def describe(self):
        return {**super().describe(), "A": self.A}


class DescribesOtherwise(LoRA):
    def describe(self):
        return {**super().describe(), "parameters": 0}


class AcceptsAnyRank(LoRA):
    @classmethod
    def from_sizes(cls, in_features, out_features, sizes, **common):
        return cls(in_features, out_features, sizes.rank or 4, **common)


class RaisesKeyError(LoRA):
    def __init__(self, *args, preset="ntk", **kwargs):
        {"ntk": 1, "released": 2, "paper": 3}[preset]
        super().__init__(*args, preset=preset, **kwargs)


class DropsTheBatchAxes(LinearProbe):
    def adapted(self, features):
        return super().adapted(features.reshape(-1, self.in_features))


class MixesSamples(LinearProbe):
    def adapted(self, features):
        outputs = super().adapted(features)
        return outputs + 0.1 * outputs.mean() if outputs.ndim > 1 else outputs


class DetachesAFactor(LoRA):
    def factors(self):
        return self.A.T.detach() * 1.0 + 0 * self.A.T, self.B.T


class WrongDerivative(TensorGuide):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        sigma = self.activation
        self.activation = Activation(
            sigma.name, sigma.function, lambda u: 0.5 * torch.ones_like(u), sigma.homogeneous
        )


class DecoupledWithoutScale(LoRA):
    def decoupled(self, features):
        return super().decoupled(features / self.scale)


class DecoupledWithoutFactor(LoRA):
    def decoupled(self, features):
        right = super().decoupled(features)
        return type(right)(right.shared, right.coupled, -2 * right.factor, right.n_outputs)


class Noisy(TTDelta):
    """Its noise has a generator of its own: a Jacobian puts torch's random state back."""

    noise = torch.Generator().manual_seed(0)

    def update_tangent(self):
        tangent = super().update_tangent()
        noise = torch.rand(tangent.shape, generator=self.noise, dtype=tangent.dtype)
        return tangent * (1 + 1e-3 * noise)


class HiddenParameter(LoRA):
    """Trains a parameter that its outputs never see: fine for J, wrong for Euler."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.idle = nn.Parameter(torch.ones(2, dtype=self.A.dtype))


BROKEN = [
    (WrongDegree, "euler_identity_holds"),
    (HiddenParameter, "engines_agree"),
    (ForgetsScaleInJacobian, "engines_agree"),
    (SwapsFactorsInJacobian, "engines_agree"),
    (WrongTangent, "weight_tangents_equal_autograd"),
    (WrongTangentMap, "weight_tangents_equal_autograd"),
    (WrongMoving, "weight_tangents_equal_autograd"),
    (WrongFactorTangents, "weight_tangents_equal_autograd"),
    (WrongUpdateGram, "weight_tangents_equal_autograd"),
    (DecoupledForDoublesOnly, "single_precision_agrees_with_double"),
    (RoundsOnTheWay, "single_precision_agrees_with_double"),
    (WrongDerivative, "engines_agree"),
    (TrainableBase, "base_is_frozen_and_added"),
    (CountsTheBase, "base_is_frozen_and_added"),
    (ScaledBase, "base_is_frozen_and_added"),
    (RankBoundTooSmall, "rank_is_within_its_bound"),
    (RankBoundIgnoresFeatures, "rank_is_within_its_bound"),
    (SaysLinear, "linear_says_the_truth"),
    (SaysNonlinear, "linear_says_the_truth"),
    (LatentNotInState, "state_dict_round_trips"),
    (IgnoresGenerator, "seeds_decide"),
    (FixedSeed, "seeds_decide"),
    (DrawsInItsOwnDtype, "dtypes_share_draws"),
    (AlwaysFloat32, "dtypes_share_draws"),
    (CountsWrong, "parameters_are_counted"),
    (GeneratesColumnMajor, "generated_weights_are_those_of_the_outputs"),
    (GeneratesOtherOrder, "generated_weights_are_those_of_the_outputs"),
    (WidthTooSmall, "width_is_effective"),
    (DescribesTensors, "description_is_json"),
    (DescribesOtherwise, "description_is_json"),
    (AcceptsAnyRank, "bad_sizes_get_a_sentence"),
    (RaisesKeyError, "bad_sizes_get_a_sentence"),
    (DropsTheBatchAxes, "forward_keeps_the_batch"),
    (MixesSamples, "forward_keeps_the_batch"),
    (DetachesAFactor, "jacobian_equals_finite_differences"),
    (DecoupledWithoutScale, "kernels_equal_products_of_rows"),
    (DecoupledWithoutFactor, "kernels_equal_products_of_rows"),
]
