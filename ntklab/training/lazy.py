"""The standard way into the lazy regime: scale the outputs, centre them at the start."""

import copy
import math

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from ntklab.errors import InputError


class LazyModel(nn.Module):
    """α (f(x; θ) − f(x; θ_0)): the α-scaling of Chizat et al. 2019 (arXiv 1812.07956).

    Their loss is L(α(f − f_0))/α². For gradient descent the division is a step size: train with
    η/α², or call `rate(η)`. Then to first order in 1/α, ḟ = −η K ∂L/∂f with the kernel K of the
    *unscaled* model; this model's own kernel is α² K.

    Args:
        model: trained in place; a frozen copy of its start is kept.
        alpha: α > 0.

    Raises:
        InputError: α is not a positive number.

    Example:
        >>> import torch
        >>> model = LazyModel(nn.Linear(2, 1), alpha=100.0)
        >>> model(torch.ones(1, 2)).item(), sum(p.requires_grad for p in model.parameters())
        (0.0, 2)
        >>> model.rate(0.5)
        5e-05
    """

    def __init__(self, model: nn.Module, alpha: float) -> None:
        super().__init__()
        if not (math.isfinite(alpha) and alpha > 0):
            raise InputError(f"alpha = {alpha} must be a positive finite number.")
        self.model, self.alpha = model, float(alpha)
        self.origin = copy.deepcopy(model).requires_grad_(False)

    def forward(self, x: Shaped[Tensor, "N ..."]) -> Float[Tensor, "N C"]:
        """α (f(x; θ) − f(x; θ_0))."""
        return self.alpha * (self.model(x) - self.origin(x))

    def rate(self, lr: float) -> float:
        """η/α²: the step size whose gradient descent on L is that of η on L/α²."""
        return lr / self.alpha**2
