"""Rules of layers with a weight a channel: normalizations and PReLU."""

from abc import abstractmethod
from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ntklab.jacobians.engines.layerwise.call import Call
from ntklab.jacobians.engines.layerwise.rules.rule import Rule, register_rule
from ntklab.jacobians.engines.layerwise.terms import Rows, Term


class _ScaleRule(Rule):
    """y = weight · u(x) + bias: ∂f/∂weight = Σ δ · u over all but the weight's dimensions."""

    @abstractmethod
    def scaled(self, module: nn.Module, x: Tensor) -> Tensor:
        """u(x) of a batch."""

    @abstractmethod
    def summed(self, module: nn.Module, product: Tensor) -> Tensor:
        """(n, C, k, …) summed to (n, C, entries of the weight)."""

    def terms(self, module: nn.Module, names: Collection[str], call: Call) -> dict[str, Term]:
        """Sums of cotangents, times the scaled input for the weight."""
        terms: dict[str, Term] = {}
        if "weight" in names:
            seen = call.input
            scaled = self.scaled(module, seen.flatten(0, 1)).unflatten(0, seen.shape[:2])
            terms["weight"] = Rows(self.summed(module, call.cotangent * scaled.unsqueeze(1)))
        if "bias" in names:
            terms["bias"] = Rows(self.summed(module, call.cotangent))
        return terms


class _LastDimensions(_ScaleRule):
    """The weight runs over the last dimensions."""

    def summed(self, module: nn.Module, product: Tensor) -> Tensor:
        """Over every dimension before them."""
        weight = module.get_parameter("weight")
        return product.flatten(-weight.ndim).flatten(2, -2).sum(2)


class _Channels(_ScaleRule):
    """The weight runs over the channels, the first dimension after the samples."""

    def summed(self, module: nn.Module, product: Tensor) -> Tensor:
        """Over every other dimension."""
        return product.movedim(3, -1).flatten(2, -2).sum(2)


class LayerNormRule(_LastDimensions):
    """`LayerNorm`."""

    types = (nn.LayerNorm,)

    def scaled(self, module: nn.Module, x: Tensor) -> Tensor:
        """(x − mean) / std."""
        assert isinstance(module, nn.LayerNorm)
        return F.layer_norm(x, module.normalized_shape, eps=module.eps)


class RMSNormRule(_LastDimensions):
    """`RMSNorm`."""

    types = (nn.RMSNorm,)

    def scaled(self, module: nn.Module, x: Tensor) -> Tensor:
        """x / rms."""
        assert isinstance(module, nn.RMSNorm)
        return F.rms_norm(x, list(module.normalized_shape), eps=module.eps)


class OtherRMSNormRule(_LastDimensions):
    """Every language model in transformers has an RMSNorm class of its own, linear in its weight.

    Some multiply by 1 + weight; the difference between two weights is u(x) for all of them.
    """

    def handles(self, module: nn.Module) -> bool:
        """A class whose name ends in RMSNorm, with one vector of weights."""
        names = [name for name, _ in module.named_parameters()]
        return (
            type(module).__name__.endswith("RMSNorm")
            and not isinstance(module, nn.RMSNorm)
            and names == ["weight"]
            and module.get_parameter("weight").ndim == 1
            and "forward" not in vars(module)
        )

    def scaled(self, module: nn.Module, x: Tensor) -> Tensor:
        """y(weight = 1) − y(weight = 0)."""
        ones = torch.ones_like(module.get_parameter("weight"))
        at_one, at_zero = (
            torch.func.functional_call(module, {"weight": weight}, (x,))
            for weight in (ones, torch.zeros_like(ones))
        )
        return at_one - at_zero


class GroupNormRule(_Channels):
    """`GroupNorm`."""

    types = (nn.GroupNorm,)

    def scaled(self, module: nn.Module, x: Tensor) -> Tensor:
        """(x − mean) / std of a group."""
        assert isinstance(module, nn.GroupNorm)
        return F.group_norm(x, module.num_groups, eps=module.eps)


class BatchNormRule(_Channels):
    """`BatchNorm` with the statistics that it has kept."""

    types = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

    def handles(self, module: nn.Module) -> bool:
        """Without kept statistics samples see each other, which no rule can mend."""
        return super().handles(module) and isinstance(module.running_mean, Tensor)

    def scaled(self, module: nn.Module, x: Tensor) -> Tensor:
        """(x − mean) / std, both kept."""
        assert isinstance(module, nn.modules.batchnorm._BatchNorm)
        return F.batch_norm(x, module.running_mean, module.running_var, eps=module.eps)


class PReLURule(_Channels):
    """∂f/∂a = Σ δ · min(x, 0), in all or for each channel."""

    types = (nn.PReLU,)

    def scaled(self, module: nn.Module, x: Tensor) -> Tensor:
        """The part of x below zero."""
        return x.clamp_max(0)

    def summed(self, module: nn.Module, product: Tensor) -> Tensor:
        """Over everything where one slope serves all channels."""
        if module.num_parameters == 1:
            return product.flatten(2).sum(2, keepdim=True)
        return super().summed(module, product)


for _rule in (
    LayerNormRule,
    RMSNormRule,
    OtherRMSNormRule,
    GroupNormRule,
    BatchNormRule,
    PReLURule,
):
    register_rule(_rule())
