"""One call of a layer, seen sample by sample: its arguments and the cotangents at its outputs."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils import _pytree as pytree


@dataclass(frozen=True)
class Layout:
    """Where the samples of a tensor are.

    Attributes:
        axis: the dimension that runs over samples; None for a tensor that all samples share.
        copies: entries of that dimension for each sample: tokens or windows that a model has
            folded into it, sample after sample.
        leading: for a shared tensor, whether its first dimension is a batch of one.
    """

    axis: int | None
    copies: int = 1
    leading: bool = False

    def by_sample(self, tensor: Tensor, samples: int) -> Float[Tensor, "n k *rest"]:
        """The tensor with its samples first and the entries of each next; shared ones expanded."""
        if self.axis is None:
            whole = tensor if self.leading else tensor.unsqueeze(0)
            return whole.expand(samples, *whole.shape[1:]).unsqueeze(1)
        return tensor.movedim(self.axis, 0).unflatten(0, (samples, self.copies))

    def alone(self, part: Float[Tensor, "k *rest"]) -> Tensor:
        """One sample's part of `by_sample` in the layout that the layer is called with."""
        if self.axis is None:
            return part if self.leading else part.squeeze(0)
        return part.movedim(0, self.axis)

    @staticmethod
    def of(shapes: tuple[torch.Size, torch.Size]) -> "Layout | None":
        """Found from the shapes with one sample and with two; None where they follow no rule.

        Example:
            >>> Layout.of((torch.Size([7, 3]), torch.Size([14, 3])))
            Layout(axis=0, copies=7, leading=False)
            >>> Layout.of((torch.Size([1, 5]), torch.Size([1, 5])))
            Layout(axis=None, copies=1, leading=True)
        """
        one, two = shapes
        if len(one) != len(two):
            return None
        moving = [axis for axis in range(len(one)) if one[axis] != two[axis]]
        if not moving:
            return Layout(None, leading=len(one) > 0 and one[0] == 1)
        if len(moving) > 1 or two[moving[0]] != 2 * one[moving[0]]:
            return None
        return Layout(moving[0], one[moving[0]])


@dataclass(frozen=True)
class Call:
    """A call of a layer with n samples.

    Attributes:
        samples: n.
        arguments: (args, kwargs) as the layer was given them.
        layouts: of the tensors among them, in the order of `pytree.tree_leaves`.
        cotangents: at every tensor among its outputs, (n, C, k, …): derivatives of the model's
            outputs, samples first, then outputs, then the layout's copies.
        output_layouts: of these tensors.
    """

    samples: int
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    layouts: tuple[Layout, ...]
    cotangents: tuple[Tensor, ...]
    output_layouts: tuple[Layout, ...]

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors among the arguments."""
        return [x for x in pytree.tree_leaves(self.arguments) if isinstance(x, Tensor)]

    @property
    def input(self) -> Float[Tensor, "n k *rest"]:
        """The first tensor among the arguments, samples first."""
        layout = self.layouts[0]
        if layout.axis is None:
            # A layer that all samples share keeps or lacks the batch of one as its output does.
            layout = Layout(None, leading=self.output_layouts[0].leading)
        return layout.by_sample(self.tensors[0], self.samples)

    @property
    def cotangent(self) -> Float[Tensor, "n C k *rest"]:
        """At the layer's only output."""
        return self.cotangents[0]
