"""The nonlinearities of a factor head, each with its derivative."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ntklab.errors import unknown


@dataclass(frozen=True)
class Activation:
    """σ with what the theory needs to know of it.

    Attributes:
        name: the word users say.
        function: σ, elementwise.
        derivative: σ', elementwise; at a kink the value autograd uses.
        homogeneous: σ(t u) = t σ(u) for t > 0, which Euler's identity and the collapsed width
            need (theory P2, P5).
    """

    name: str
    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    homogeneous: bool

    @property
    def linear(self) -> bool:
        """Whether σ is the identity."""
        return self.name == "identity"


def _gelu_derivative(u: Tensor) -> Tensor:
    normal = torch.exp(-0.5 * u * u) / (2 * torch.pi) ** 0.5
    return torch.special.ndtr(u) + u * normal


ACTIVATIONS = {
    a.name: a
    for a in (
        Activation("identity", lambda u: u, torch.ones_like, homogeneous=True),
        Activation("relu", torch.relu, lambda u: (u > 0).to(u.dtype), homogeneous=True),
        Activation("tanh", torch.tanh, lambda u: 1 - torch.tanh(u) ** 2, homogeneous=False),
        Activation("gelu", torch.nn.functional.gelu, _gelu_derivative, homogeneous=False),
    )
}


def activation_named(name: str) -> Activation:
    """The activation of that name.

    Raises:
        InputError: unknown name, with the nearest match.

    Example:
        >>> activation_named("relu").derivative(torch.tensor([-1.0, 2.0]))
        tensor([0., 1.])
    """
    if name not in ACTIVATIONS:
        raise unknown("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
