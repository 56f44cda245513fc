"""Rules of convolutions and their transposes, by windows of what slides under the kernel."""

from collections.abc import Collection, Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ntklab.jacobians.engines.layerwise.call import Call
from ntklab.jacobians.engines.layerwise.rules.rule import Rule, register_rule
from ntklab.jacobians.engines.layerwise.terms import Outer, Rows, Term, Vectors


def windows(
    images: Float[Tensor, "B channels *space"],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    count: Sequence[int],
) -> Float[Tensor, "B T channels K"]:
    """The entries that a kernel of K = Π kernel entries covers at T = Π count places.

    Args:
        images: padded already.
        kernel: its size in every dimension of space.
        stride: steps between places.
        dilation: steps between entries.
        count: places.

    Example:
        >>> import torch
        >>> windows(torch.arange(5.0).reshape(1, 1, 5), [2], [1], [2], [3])[0, :, 0].tolist()
        [[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]]
    """
    batch, channels, *steps = images.stride()
    sizes = (*images.shape[:2], *count, *kernel)
    moves = [step * by for step, by in zip(steps, stride, strict=True)]
    within = [step * by for step, by in zip(steps, dilation, strict=True)]
    view = images.as_strided(sizes, (batch, channels, *moves, *within), images.storage_offset())
    space = len(steps)
    return view.flatten(2 + space).movedim(1, 1 + space).flatten(1, space)


def _by_group(side: Float[Tensor, "n c T channels K"], groups: int) -> Vectors:
    """(n, c, G, T, channels / G · K)."""
    return Vectors(side.unflatten(3, (groups, -1)).movedim(3, 2).flatten(4))


class ConvolutionRule(Rule):
    """∂f/∂W = Σ_t δ_t ⊗ (the window at t), one matrix a group."""

    types = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

    def terms(self, module: nn.Module, names: Collection[str], call: Call) -> dict[str, Term]:
        """Outer products of cotangents and windows of the input."""
        assert isinstance(module, nn.modules.conv._ConvNd)
        terms: dict[str, Term] = {}
        cotangents = call.cotangent.movedim(3, -1)  # (n, C, k, *count, m)
        if "weight" in names:
            images, n = _padded(module, call.input.flatten(0, 1)), call.samples
            count = call.cotangent.shape[4:]
            seen = windows(images, module.kernel_size, module.stride, module.dilation, count)
            right = seen.reshape(n, 1, -1, *seen.shape[2:])
            left = cotangents.flatten(2, -2).unsqueeze(-1)
            terms["weight"] = Outer(_by_group(left, module.groups), _by_group(right, module.groups))
        if "bias" in names:
            terms["bias"] = Rows(cotangents.flatten(2, -2).sum(2))
        return terms


def _padded(module: nn.modules.conv._ConvNd, images: Tensor) -> Tensor:
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    return F.pad(images, module._reversed_padding_repeated_twice, mode=mode)


class TransposedConvolutionRule(Rule):
    """∂f/∂W = Σ_t x_t ⊗ (the window of δ that x_t is spread over), one matrix a group."""

    types = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)

    def terms(self, module: nn.Module, names: Collection[str], call: Call) -> dict[str, Term]:
        """Outer products of the input and windows of the cotangents."""
        assert isinstance(module, nn.modules.conv._ConvTransposeNd)
        terms: dict[str, Term] = {}
        if "weight" in names:
            inputs, count = call.input, call.input.shape[3:]
            margins = [width for side in reversed(module.padding) for width in (side, side)]
            images = F.pad(call.cotangent.flatten(0, 2), margins)  # type: ignore[arg-type]
            seen = windows(images, module.kernel_size, module.stride, module.dilation, count)
            n, outputs, copies = call.cotangent.shape[:3]
            right = seen.reshape(n, outputs, copies * seen.shape[1], *seen.shape[2:])
            left = inputs.movedim(2, -1).flatten(1, -2)[:, None, :, :, None]
            terms["weight"] = Outer(_by_group(left, module.groups), _by_group(right, module.groups))
        if "bias" in names:
            terms["bias"] = Rows(call.cotangent.movedim(3, -1).flatten(2, -2).sum(2))
        return terms


register_rule(ConvolutionRule())
register_rule(TransposedConvolutionRule())
